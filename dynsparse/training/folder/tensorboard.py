"""TensorBoard files of a run: a view of metrics.jsonl, which holds the truth."""

import os
import pathlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from tensorboardX import summary

from dynsparse.reports import Events
from dynsparse.training.evaluation.counters import NUM_BINS, Counters

KFLOPS = "@kflops"  # the folder whose steps are FLOPs / 1000
_BINS: Any = np.linspace(0, 1, NUM_BINS + 1)


class TensorBoard:
    """Event files of a run.

    Args:
        workdir: Folder of the run.
        start: Step that the run starts from; events of later steps are dropped.
    """

    def __init__(self, workdir: pathlib.Path, start: int):
        self._workdir = workdir
        self._events = Events(workdir, purge_step=start + 1)

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the files."""
        self._events.close()

    def scalars(self, step: int, split: str, values: Mapping[str, float]):
        """Writes `values` of `split`; values of single gates form their own group."""
        for tag, value in tagged(split, values).items():
            self._events.add(summary.scalar(tag, float(value)), step)
        self._events.flush()  # a kill loses nothing that a checkpoint keeps

    def histograms(self, step: int, gates: Mapping[str, Counters]):
        """Writes the distribution of `open_prob` of each gate, by its path."""
        for name, short in short_names(gates).items():
            gate, front = gates[name], short or "gate"
            units = gate.rate / gate.count
            tag = f"gates_open_share_of_unit/{front}"
            self._events.add(summary.histogram(tag, units, _BINS), step)
            found = _histogram(f"gates_open_prob/{front}", gate)
            self._events.add(found, step)

    def text(self, name: str, markdown: str):
        """Writes a paragraph, a table or a list."""
        self._events.add(summary.text(name, markdown))

    def image(self, step: int, name: str, pixels: np.ndarray):
        """Writes an image, uint8 [height, width, 3]."""
        self._events.add(summary.image(name, pixels, dataformats="HWC"), step)

    def summary(
        self,
        step: int,
        settings: Mapping[str, bool | str | float | int],
        rows: Sequence[Mapping[str, float]],
        first: Mapping[str, bool | str | float | int | None],
        metric: str,
    ):
        """Writes what compares runs: hparams, and the curve over kFLOPs, both anew.

        TensorBoard has no plot of one metric against another. So the folder `@kflops`
        of the run has FLOPs / 1000 per example where steps would be, sorted, and the
        scalars tab draws the score against cost. It holds the run's line of the HParams
        tab too: its settings, and its numbers at the point nearest to density 0.5.

        Args:
            step: Last step of the run.
            settings: Flat config.
            rows: Rows of curve.csv.
            first: Values of the first columns, in their order; None is left out.
            metric: Name of the task's score, a column of the rows.
        """
        folder = self._workdir / KFLOPS
        shutil.rmtree(folder, ignore_errors=True)
        point = min(rows, key=lambda row: abs(row["density"] - 0.5))
        metrics = {metric: point[metric], "mflops": point["flops_mean"] / 1e6}
        columns = _in_order(first) | dict(settings)
        # Without the record of an prepared, which holds the columns of one run alone
        # and of which TensorBoard reads any, it takes the columns of all runs together
        # and puts those in front that differ.
        _, begun, ended = summary.hparams(columns, metrics)
        with Events(folder) as board:
            board.add(begun)
            board.add(ended)
            for name, value in metrics.items():
                board.add(summary.scalar(f"hparam/{name}", value), step)
            for row in sorted(rows, key=lambda row: row["flops_mean"]):
                at = round(row["flops_mean"] / 1000)
                for name in (metric, "latency_ms", "density"):
                    board.add(summary.scalar(f"curve/{name}", row[name]), at)


def _histogram(tag: str, gate: Counters):
    """The counted values of `open_prob`, whose sums are those of the bins' middles."""
    middles = (_BINS[:-1] + _BINS[1:]) / 2
    return summary.histogram_raw(
        tag,
        min=0.0,
        max=1.0,
        num=gate.histogram.sum(),
        sum=gate.histogram @ middles,
        sum_squares=gate.histogram @ middles**2,
        bucket_limits=[*_BINS[1:]],
        bucket_counts=[*gate.histogram],
    )


def tagged(split: str, values: Mapping[str, float]) -> dict[str, float]:
    """Returns the values by tag, such that charts of one kind share a group.

    `accuracy_at_0.5` is `validation_by_density/accuracy_at_0.5` and `density/LAYER` is
    `train_gates/density/LAYER`, with LAYER cut down to what tells the gates apart.

    Args:
        split: Split that the values describe.
        values: Values by name.
    """
    layers = [name.partition("/")[2] for name in values if "/" in name]
    short, tags = short_names(layers), {}
    for name, value in values.items():
        kind, slash, layer = name.partition("/")
        if slash:
            tag = "/".join([f"{split}_gates", kind, *filter(None, [short[layer]])])
        elif "_at_" in name:
            tag = f"{split}_by_density/{name}"
        else:
            tag = f"{split}/{name}"
        tags[tag] = value
    return tags


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Returns each path without the parts that all of them have in common.

    TensorBoard cuts long tags in their middle, where the paths of gates differ.

    Args:
        paths: Paths of gates, with slashes.
    """
    split = {path: path.split("/") for path in paths}
    if len(split) < 2:
        return {path: parts[-1] for path, parts in split.items()}
    head = len(os.path.commonprefix(list(split.values())))
    tail = len(os.path.commonprefix([p[head:][::-1] for p in split.values()]))
    short = {
        path: ".".join(parts[head : len(parts) - tail]) for path, parts in split.items()
    }
    return short if len(set(short.values())) == len(short) else {p: p for p in short}


def _in_order(columns: Mapping[str, bool | str | float | int | None]):
    """The columns with names that TensorBoard, which sorts by name, leaves in order.

    A browser shows no space before a word.
    """
    return {
        " " * (len(columns) - index) + name: value
        for index, (name, value) in enumerate(columns.items())
        if value is not None
    }
