"""What a run writes as it goes: metrics.jsonl, the truth, and TensorBoard, a view."""

import pathlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from dynsparse._internal.atomic_write import as_json, reading, write_bytes
from dynsparse.training.board import Board

ROWS = "metrics.jsonl"
CURVE = "curve"  # the split of the rows of the final curve, over the test images


class Writer:
    """Appends metrics to the folder of a run.

    Rows after the step that a run resumes from are dropped in TensorBoard too, so that
    a killed and resumed run leaves what an uninterrupted one would have left.

    Args:
        workdir: Folder of the run.
        start: The step that the run starts from.

    Attributes:
        board: Its view in TensorBoard.
    """

    def __init__(self, workdir: pathlib.Path, start: int):
        self._workdir = workdir
        self._file = (workdir / ROWS).open("a")
        self.board = Board(workdir, start)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_):
        self._file.close()
        self.board.close()

    def scalars(self, step: int, split: str, values: Mapping[str, float]):
        """Writes one row: `values` of `split` after `step` steps."""
        row: dict[str, Any] = dict(step=step, split=split)
        row |= {name: float(value) for name, value in values.items()}
        self._append(row)
        self.board.scalars(step, split, values)

    def rows(self) -> bytes:
        """The content of metrics.jsonl."""
        return (self._workdir / ROWS).read_bytes()

    def summary(
        self,
        step: int,
        settings: Mapping[str, bool | str | float | int],
        rows: Sequence[Mapping[str, float]],
        first: Mapping[str, bool | str | float | int | None] = MappingProxyType({}),
    ):
        """Writes what compares runs: the curve as rows, and `Board.summary`.

        Args:
            step: The last step.
            settings: Flat config.
            rows: The rows of curve.csv.
            first: What tells runs apart, in its order.
        """
        for row in rows:
            self._append(dict(step=step, split=CURVE) | dict(row))
        self.board.summary(step, settings, rows, first)

    def _append(self, row: Mapping[str, Any]):
        self._file.write(as_json(row) + "\n")
        self._file.flush()


def put_rows_back(workdir: pathlib.Path, rows: bytes, step: int) -> str | None:
    """Makes metrics.jsonl what it was when a checkpoint was made.

    What follows is dropped: the run that resumes there writes it anew.

    Args:
        workdir: Folder of the run.
        rows: The content of the file at the checkpoint.
        step: Of the checkpoint; 0 without one.

    Returns:
        What a person should know of that, if anything.

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
