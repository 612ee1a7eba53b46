"""A sweep in TensorBoard: its report, its figure and one line per method."""

import pathlib
import shutil
import statistics
from collections.abc import Sequence
from typing import Any

import matplotlib.image
import numpy as np
from tensorboardX import summary

from dynsparse.reports.events import Events
from dynsparse.reports.markup import Row
from dynsparse.reports.points import read_points

SUMMARY = "_summary"


def write_board(sweep: pathlib.Path, rows: Sequence[Row]) -> pathlib.Path:
    """Writes the run `_summary` of a sweep, anew.

    It holds figure.png as an image, report.md as text and the layout of the custom
    scalars: accuracy and density while training, and accuracy against cost. Inside, the
    run METHOD@kflops has the means over seeds of a method's points, in the order of
    their FLOPs / 1000, which stand where steps would: one line per method, also where
    each point is a run of its own.

    Args:
        sweep: Its folder, with report.md and perhaps figure.png.
        rows: As `read_sweep` returns them.

    Returns:
        The folder of the summary.
    """
    folder = sweep / SUMMARY
    shutil.rmtree(folder, ignore_errors=True)
    with Events(folder) as board:
        report = (sweep / "report.md").read_text()
        board.add(summary.text("report", _without_images(report)))
        if (sweep / "figure.png").exists():
            image = matplotlib.image.imread(sweep / "figure.png")[..., :3]
            pixels = (255 * image).round().astype(np.uint8)
            board.add(summary.image("figure", pixels, dataformats="HWC"))
        board.add(summary.custom_scalars(layout(sweep.resolve().name)))
    dense = max(row["macs_dense"] for row in rows)
    for method, means in _means(rows).items():
        with Events(folder / f"{method}@kflops") as board:
            for macs, accuracy, time in means:
                at = round(2 * macs * dense / 1000)  # 1 MAC = 2 FLOPs
                board.add(summary.scalar("methods/accuracy", accuracy), at)
                board.add(summary.scalar("methods/time_over_dense", time), at)
    return folder


def layout(name: str) -> dict[str, Any]:
    """Returns the custom scalars of a sweep: charts that hold all its methods.

    Args:
        name: Of the experiment, the heading of its charts.
    """
    lines = lambda *tags: ["Multiline", list(tags)]
    return {
        name: {
            "accuracy against kFLOPs, by method": lines("methods/accuracy"),
            "time over dense time against kFLOPs": lines("methods/time_over_dense"),
            "accuracy against kFLOPs, every run": lines("curve/accuracy"),
            "validation accuracy while training": lines("validation/accuracy"),
            "density while training": lines("train/density"),
        }
    }


def _means(rows: Sequence[Row]) -> dict[str, list[tuple[float, float, float]]]:
    """MACs, accuracy and time of each method's points, means, from cheap to dear."""
    over = lambda values: statistics.fmean(values.values())
    found: dict[str, list[tuple[float, float, float]]] = {}
    for point in read_points(rows):
        means = (point.mean_macs, over(point.accuracy), over(point.time))
        found.setdefault(point.method, []).append(means)
    return {method: sorted(means) for method, means in found.items()}


def _without_images(markdown: str) -> str:
    """TensorBoard cannot follow the path of an image."""
    lines = markdown.splitlines()
    return "\n".join(line for line in lines if not line.startswith("!["))
