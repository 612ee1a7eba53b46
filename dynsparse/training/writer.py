"""What a run writes as it goes: metrics.jsonl, the truth, and TensorBoard, a view."""

import os
import pathlib
import shutil
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tensorboardX import SummaryWriter

from dynsparse.whole import as_json, write_bytes

ROWS = "metrics.jsonl"
CURVE = "curve"  # the split of the rows of the final curve, over the test pictures


class Writer:
    """Appends metrics to the folder of a run.

    Rows after the step that a run resumes from are dropped in TensorBoard too, so that
    a killed and resumed run leaves what an uninterrupted one would have left.

    Args:
        workdir: Folder of the run.
        start: The step that the run starts from.
    """

    def __init__(self, workdir: pathlib.Path, start: int):
        self._workdir = workdir
        self._file = (workdir / ROWS).open("a")
        self._board = SummaryWriter(
            str(workdir), filename_suffix=_unique(), purge_step=start + 1
        )

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_):
        self._file.close()
        self._board.close()

    def scalars(self, step: int, split: str, values: Mapping[str, float]):
        """Writes one row: `values` of `split` after `step` steps."""
        row: dict[str, Any] = dict(step=step, split=split)
        row |= {name: float(value) for name, value in values.items()}
        self._append(row)
        for name, value in values.items():
            self._board.add_scalar(f"{split}/{name}", float(value), step)
        self._board.flush()  # a kill loses nothing that a checkpoint keeps

    def rows(self) -> bytes:
        """The content of metrics.jsonl."""
        return (self._workdir / ROWS).read_bytes()

    def image(self, step: int, name: str, picture: np.ndarray):
        """Writes a picture, uint8 [height, width, 3], to TensorBoard."""
        self._board.add_image(name, picture, step, dataformats="HWC")

    def summary(
        self,
        step: int,
        settings: Mapping[str, bool | str | float | int],
        rows: Sequence[Mapping[str, float]],
    ):
        """Writes what compares runs: the curve as rows, as hparams and over kFLOPs.

        TensorBoard has no plot of one metric against another. So each point of the
        curve is an entry of its own, and the scatter matrix of the HParams tab draws
        accuracy against MFLOPs; and the run `<run>@kflops` inside the folder has
        FLOPs / 1000 per example where steps would be, sorted, so that the scalars tab
        does. Both are written anew.

        Args:
            step: The last step.
            settings: Flat config.
            rows: The rows of curve.csv.
        """
        hparams = self._workdir / "hparams"
        kflops = self._workdir / f"{self._workdir.name}@kflops"
        for folder in (hparams, kflops):
            shutil.rmtree(folder, ignore_errors=True)
        for row in rows:
            self._append(dict(step=step, split=CURVE) | dict(row))
            metrics = dict(
                accuracy=row["accuracy"],
                mflops=row["flops_mean"] / 1e6,
                latency_ms=row["latency_ms"],
            )
            self._board.add_hparams(
                dict(settings) | dict(density=row["density"]),
                {f"hparam/{name}": value for name, value in metrics.items()},
                name=f"{hparams.name}/density={row['density']:.3f}",
                global_step=step,
            )
        with SummaryWriter(str(kflops), filename_suffix=_unique()) as board:
            for row in sorted(rows, key=lambda row: row["flops_mean"]):
                at = round(row["flops_mean"] / 1000)
                for name in ("accuracy", "latency_ms", "density"):
                    board.add_scalar(f"curve/{name}", row[name], at)

    def _append(self, row: Mapping[str, Any]):
        self._file.write(as_json(row) + "\n")
        self._file.flush()


def put_rows_back(workdir: pathlib.Path, rows: bytes) -> bool:
    """Makes metrics.jsonl what it was when a checkpoint was made.

    What follows is dropped: the run that resumes there writes it anew.

    Args:
        workdir: Folder of the run.
        rows: The content of the file at the checkpoint.

    Returns:
        Whether the file lacked any of that.
    """
    path = workdir / ROWS
    found = path.read_bytes() if path.exists() else b""
    if found != rows:
        write_bytes(path, rows)
    return not found.startswith(rows)


def _unique() -> str:
    """Two writers of one second would overwrite each other's file."""
    return f".{os.getpid()}.{uuid.uuid4().hex}"
