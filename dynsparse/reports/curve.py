"""The curve of one run: accuracy and time against cost, from curve.csv."""

import csv
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib

from dynsparse._internal.atomic_write import reading
from dynsparse.reports.style import BLUE, GREY, ORANGE, fit, panels, save

FIELDS: tuple[str, ...] = (
    "density",
    "budget",
    "flops_mean",
    "macs_mean",
    "macs_p95",
    "macs_dense",
    "accuracy",
    "latency_ms",
    "latency_dense_ms",
    "time_ratio",
    "time_ratio_q1",
    "time_ratio_q3",
    "dense_again",
)
_REQUIRED = FIELDS[: FIELDS.index("time_ratio")]  # of a row; others may be empty
_AGAIN = "remove result.json, and the command of the run writes both again"
BUSY = "busy machine, do not quote the times"
OFF = 0.1  # of the time of dense, from which dense beside dense tells a busy machine


def read_curve(run: pathlib.Path) -> list[dict[str, float]]:
    """Returns the rows of `run`/curve.csv, from dense to sparse.

    Raises:
        DamagedFileError: If it is missing or damaged.
    """
    path = run / "curve.csv"
    with reading(path, _AGAIN), path.open(encoding="utf-8", newline="") as file:
        rows = [
            {key: float(value) for key, value in row.items() if value}
            for row in csv.DictReader(file)
        ]
        if not rows:
            raise ValueError("it has no rows")
        if any(not {*_REQUIRED} <= {*row} for row in rows):
            raise ValueError("a row is not whole")
        return sorted(rows, key=lambda row: -row["macs_mean"])


def time_ratio(row: Mapping[str, Any]) -> float:
    """Returns the time of a point by that of the dense model.

    Args:
        row: Of a curve: the median over turns of both, or else two medians.
    """
    if "time_ratio" in row:
        return row["time_ratio"]
    return row["latency_ms"] / row["latency_dense_ms"]


def time_spread(row: Mapping[str, float]) -> tuple[float, float]:
    """Returns how far the quartiles are below and above `time_ratio`."""
    if "time_ratio_q1" not in row:
        return 0.0, 0.0
    median = row["time_ratio"]
    return median - row["time_ratio_q1"], row["time_ratio_q3"] - median


def is_busy(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the dense model took 10 % more or less time than beside itself."""
    return bool(busy_among({str(i): r.get("dense_again") for i, r in enumerate(rows)}))


def busy_among(again: Mapping[str, float | None]) -> list[str]:
    """A paragraph on what was timed on a busy machine, or none.

    Args:
        again: By what was timed, the median of its reference's time by that of the
            same once more, in the same turns.
    """
    found = {k: v for k, v in again.items() if v is not None and abs(v - 1) > OFF}
    listed = "; ".join(f"{name} ({value:.2f})" for name, value in found.items())
    return [f"{BUSY.capitalize()} of: {listed}."] if found else []


def draw_curve(
    run: pathlib.Path,
    title: str,
    *,
    dense_accuracy: float | None = None,
    column: bool = False,
) -> pathlib.Path:
    """Draws `run`/curve.png: accuracy and time against cost; SVG and PDF beside it.

    Args:
        run: Folder that holds curve.csv.
        title: Of the figure.
        dense_accuracy: That of the model with everything open, where it is no point of
            the curve.
        column: Whether to draw curve-column.png, as wide as a column of a paper.

    Returns:
        The PNG.
    """
    rows = read_curve(run)
    with matplotlib.rc_context({"font.size": 7 if column else 10}):
        figure, (left, right) = panels(2, column=column)
        figure.suptitle(title)
        _draw_accuracy(left, rows, dense_accuracy)
        _draw_time(right, rows)
        left.set_title("Accuracy against cost (labels: density)", fontsize="medium")
        clock = BUSY if is_busy(rows) else "compact execution"
        right.set_title(f"Time against cost: {clock}", fontsize="medium")
        return save(figure, run / ("curve-column" if column else "curve"))


def _draw_accuracy(
    axes, rows: Sequence[Mapping[str, float]], dense_accuracy: float | None
):
    macs = [row["macs_mean"] / 1e6 for row in rows]
    percent = [100 * row["accuracy"] for row in rows]
    dense = rows[0]["macs_dense"] / 1e6
    axes.plot(macs, percent, "o-", color=BLUE)
    for index, (row, x, y) in enumerate(zip(rows, macs, percent, strict=True)):
        axes.annotate(
            f"{row['density']:.2f}",
            (x, y),
            textcoords="offset points",
            xytext=(0, (-15, 8)[index % 2]),  # neighbours may be close
            ha="center",
            fontsize="small",
        )
    axes.axvline(dense, color=GREY, linestyle=":", label="dense MACs")
    if dense_accuracy is not None:
        percent.append(100 * dense_accuracy)
        axes.plot(dense, percent[-1], "*", color=GREY, markersize=13, zorder=3)
        axes.annotate(
            f"same network, all gates open: {percent[-1]:.1f} %",
            (dense, percent[-1]),
            textcoords="offset points",
            xytext=(-10, 0),
            ha="right",
            va="center",
            fontsize="small",
        )
    axes.set_xlim(0, 1.08 * dense)
    fit(axes, percent, least=4.0, top=100.5)
    axes.set_xlabel("MACs per image (millions; 1 MAC = 2 FLOPs)")
    axes.set_ylabel("test accuracy (%)")
    axes.legend(loc="best")


def _draw_time(axes, rows: Sequence[Mapping[str, float]]):
    time = [time_ratio(row) for row in rows]
    spread = [time_spread(row) for row in rows]
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="time = MACs")
    axes.errorbar(
        [row["budget"] for row in rows],
        time,
        yerr=list(zip(*spread, strict=True)),
        fmt="s-",
        capsize=2.5,
        color=ORANGE,
        label="measured: median, quartiles",
    )
    highest = max(ratio + above for ratio, (_, above) in zip(time, spread, strict=True))
    axes.set_xlim(0, 1.08)
    axes.set_ylim(0, max(1.08, 1.05 * highest))
    axes.set_xlabel("MACs / dense MACs")
    axes.set_ylabel("time / dense time")
    axes.legend(loc="upper left")
