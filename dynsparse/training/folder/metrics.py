"""The metrics of a run: metrics.jsonl, the truth, and clock.jsonl, its speed."""

import json
import math
import pathlib
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax

from dynsparse._internal.atomic_write import as_json, reading, write_bytes
from dynsparse.training.folder.tensorboard import TensorBoard

ROWS = "metrics.jsonl"
CURVE = "curve"  # the split of the rows of the final curve, over the test examples
_CLOCK = "clock.jsonl"
_PENDING = "since_log"


class Means:
    """Means of the metrics of all steps since the last log.

    A checkpoint between two logs carries the sums along, so that a run that is killed
    and resumed logs the means that it would have logged.

    Args:
        sums: Sum of each metric, by name.
        count: Number of steps in the sums.
    """

    def __init__(self, sums: Mapping[str, float] | None = None, count: int = 0):
        self._sums = dict(sums or {})
        self._count = count

    @classmethod
    def split(cls, rows: bytes) -> tuple[bytes, "Means"]:
        """Parts the rows of a checkpoint from the sums that `joined` put behind them.

        Args:
            rows: Bytes from `joined`, or rows without sums.
        """
        before, _, last = rows.rstrip(b"\n").rpartition(b"\n")
        if not last.startswith(b'{"%s"' % _PENDING.encode()):
            return rows, cls()
        row = json.loads(last)
        sums = {k: math.nan if v is None else v for k, v in row["sums"].items()}
        return before + b"\n" * bool(before), cls(sums, row[_PENDING])

    def joined(self, rows: bytes) -> bytes:
        """Returns the rows for a checkpoint, with the sums behind them.

        Args:
            rows: Content of metrics.jsonl.
        """
        if not self._count:
            return rows
        return (
            rows + f"{as_json({_PENDING: self._count, 'sums': self._sums})}\n".encode()
        )

    def add(self, metrics: Mapping[str, float]):
        """Adds the metrics of a step."""
        for name, value in metrics.items():
            self._sums[name] = self._sums.setdefault(name, 0.0) + value
        self._count += 1

    def take(self) -> dict[str, float]:
        """Returns the means, and starts anew."""
        means = {name: total / self._count for name, total in self._sums.items()}
        self._sums, self._count = {}, 0
        return means


class Writer:
    """Appends rows to metrics.jsonl and clock.jsonl, and shows them in TensorBoard.

    The clock has a file of its own, since metrics.jsonl is the same bits for a run that
    was killed and resumed, and times are not.

    Args:
        workdir: Folder of the run.
        start: Step that the run starts from; later events in TensorBoard are dropped.

    Attributes:
        tensorboard: View of the run in TensorBoard.
    """

    def __init__(self, workdir: pathlib.Path, start: int):
        self._workdir = workdir
        self._file = (workdir / ROWS).open("a")
        self._begun = self._last = time.monotonic()
        self._step = start
        self.tensorboard = TensorBoard(workdir, start)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_):
        self._file.close()
        self.tensorboard.close()

    def scalars(self, step: int, split: str, values: Mapping[str, float]):
        """Writes one row: `values` of `split` after `step` steps."""
        row: dict[str, Any] = dict(step=step, split=split)
        row |= {name: float(value) for name, value in values.items()}
        self._append(row)
        self.tensorboard.scalars(step, split, values)

    def clock(self, step: int):
        """Writes seconds since the start, steps per second since the last call, memory.

        Args:
            step: Number of steps done.
        """
        now = time.monotonic()
        values = dict(
            seconds=now - self._begun,
            steps_per_second=(step - self._step) / max(now - self._last, 1e-9),
            memory_mb=_peak_bytes() / 1e6,
        )
        self._last, self._step = now, step
        with (self._workdir / _CLOCK).open("a") as file:
            file.write(as_json(dict(step=step) | values) + "\n")
        self.tensorboard.scalars(step, "train_clock", values)

    def rows(self) -> bytes:
        """Returns the content of metrics.jsonl."""
        return (self._workdir / ROWS).read_bytes()

    def summary(
        self,
        step: int,
        settings: Mapping[str, bool | str | float | int],
        rows: Sequence[Mapping[str, float]],
        first: Mapping[str, bool | str | float | int | None] = MappingProxyType({}),
        metric: str = "accuracy",
    ):
        """Writes what compares runs: the curve as rows, and `TensorBoard.summary`.

        Args:
            step: Last step of the run.
            settings: Flat config.
            rows: Rows of curve.csv.
            first: Columns that tell runs apart, in their order.
            metric: Name of the task's score.
        """
        for row in rows:
            self._append(dict(step=step, split=CURVE) | dict(row))
        self.tensorboard.summary(step, settings, rows, first, metric)

    def _append(self, row: Mapping[str, Any]):
        self._file.write(as_json(row) + "\n")
        self._file.flush()


def put_rows_back(workdir: pathlib.Path, rows: bytes, step: int) -> str | None:
    """Makes metrics.jsonl what it was when a checkpoint was made.

    Later rows are dropped: the run that resumes from the checkpoint writes them anew.

    Args:
        workdir: Folder of the run.
        rows: Content of the file at the checkpoint.
        step: Step of the checkpoint; 0 without one.

    Returns:
        A note for people where the file had lacked rows, or none should have been
        there.

    Raises:
        DamagedFileError: If the file cannot be read.
    """
    path = workdir / ROWS
    with reading(path, "move it away"):
        found = path.read_bytes() if path.exists() else b""
    if found != rows:
        write_bytes(path, rows)
    if not found.startswith(rows):
        return (
            f"{path} lacked rows up to step {step}; they are back, from its checkpoint"
        )
    if found and not step:
        return f"{path} held rows, but there is no checkpoint: the run begins anew"
    return None


def _peak_bytes() -> int:
    """Most memory so far: of the first device where it knows, else of the process."""
    known = jax.local_devices()[0].memory_stats()
    if known and "peak_bytes_in_use" in known:
        return known["peak_bytes_in_use"]
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
