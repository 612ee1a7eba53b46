"""The curve of one run: accuracy and time against cost, from curve.csv."""

import csv
import pathlib

from matplotlib.figure import Figure

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
)


def read_curve(run: pathlib.Path) -> list[dict[str, float]]:
    """Returns the rows of `run`/curve.csv, from dense to sparse."""
    with (run / "curve.csv").open(newline="") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    return sorted(rows, key=lambda row: -row["macs_mean"])


def draw_curve(run: pathlib.Path, title: str) -> pathlib.Path:
    """Draws `run`/curve.png: accuracy and time against cost.

    Args:
        run: Folder that holds curve.csv.
        title: Of the figure.

    Returns:
        The file.
    """
    rows = read_curve(run)
    macs = [row["macs_mean"] / 1e6 for row in rows]
    dense = rows[0]["macs_dense"] / 1e6
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(title)

    left.plot(macs, [100 * row["accuracy"] for row in rows], "o-", color="#0072B2")
    for index, (row, x) in enumerate(zip(rows, macs, strict=True)):
        left.annotate(
            f"{row['density']:.2f}",
            (x, 100 * row["accuracy"]),
            textcoords="offset points",
            xytext=(0, (-15, 8)[index % 2]),  # neighbours may be close
            ha="center",
            fontsize=8,
        )
    left.axvline(dense, color="0.6", linestyle=":", label="dense network")
    left.set_xlim(0, 1.08 * dense)
    low = min(100 * row["accuracy"] for row in rows)
    left.set_ylim(min(low - 4, 85), 100)
    left.set_xlabel("MACs per picture (millions; 1 MAC = 2 FLOPs)")
    left.set_ylabel("test accuracy (%)")
    left.set_title("Accuracy against cost (labels: density)", fontsize=10)
    left.legend(loc="lower center", frameon=False)

    time = [row["latency_ms"] / row["latency_dense_ms"] for row in rows]
    right.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="time = MACs")
    right.plot(
        [row["budget"] for row in rows], time, "s-", color="#D55E00", label="measured"
    )
    right.set_xlim(0, 1.08)
    right.set_ylim(0, max(1.08, *(1.05 * ratio for ratio in time)))
    right.set_xlabel("MACs / dense MACs")
    right.set_ylabel("time / dense time")
    right.set_title("Compact execution on the clock", fontsize=10)
    right.legend(loc="lower right", frameon=False)

    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    path = run / "curve.png"
    figure.savefig(path, dpi=130)
    return path
