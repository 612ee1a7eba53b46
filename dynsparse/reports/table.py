"""The table that a run ends with, from result.json."""

import math
import pathlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table

from dynsparse.reports.curve import BUSY, is_busy, time_ratio


def run_summary(
    result: Mapping[str, Any], run: pathlib.Path, more: str | None = None
) -> Group:
    """What a run ends with: its table, its figures, and how to see more.

    Args:
        result: The content of result.json.
        run: Folder of the run.
        more: A line on how to get the other points of its curve, if any.
    """
    figures = [run / name for name in ("curve.png", "kept.png")]
    shown = " ".join(str(figure) for figure in figures if figure.exists())
    board = shlex.join([sys.executable, "-m", "tensorboard.main", "--logdir", str(run)])
    lines = [f"warning  {warning}" for warning in result["warnings"]]
    lines += [f"curve    {more}"] if more else []
    lines += [f"figures  {shown}", f"explore  {board}"]
    return Group(curve_table(result), *lines)


def curve_table(result: Mapping[str, Any]) -> Table:
    """Density, cost, accuracy and time at each point of a run.

    Args:
        result: The content of result.json.
    """
    points: Sequence[Mapping[str, Any]] = result["curve"]
    recovery = any(point["recovery"] for point in points)
    table = Table(title=result["title"], box=box.SIMPLE_HEAD, padding=(0, 0))
    columns = ["density", "M MACs", "MACs", "acc %", "ms", "time"]
    if recovery:
        columns += ["prec %", "rand", "rec %", "rand"]
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for point in points:
        cells = [
            f"{point['density']:.3f}",
            f"{point['macs_mean'] / 1e6:.3f}",
            f"{point['budget']:.3f}",
            f"{100 * point['accuracy']:.2f}",
            f"{point['latency_ms']:.1f}",
            _with_quartiles(point),
        ]
        if recovery:
            found = point["recovery"]
            for name in ("precision", "recall"):
                cells += [_share(found[name]), _share(found[f"random_{name}"])]
        table.add_row(*cells)
    opened = result.get("everything_open")
    if opened is not None:
        cells = ["open*", f"{result['macs_dense'] / 1e6:.3f}", "1.000"]
        table.add_row(*cells, f"{100 * opened:.2f}", "", "1.00")
    busy = f"{BUSY}. " if is_busy(points) else ""
    same = "" if opened is None else "*the same network, all gates open; "
    table.caption = (
        f"{busy}{same}per image; ms per batch of {result['batch_size']}; MACs and time "
        f"as fractions of the dense network's (time: median and quartiles of paired "
        f"turns; {result['macs_dense'] / 1e6:.3f} M MACs); floor, which no gate can "
        f"close: {result['macs_floor'] / 1e6:.3f} M MACs "
        f"({result['macs_floor'] / result['macs_dense']:.1%})"
    )
    if recovery:
        table.caption += "; precision and recall of the true patches, beside random"
    return table


def _share(value: float | None) -> str:
    """A share of what may be nothing, which JSON keeps as null."""
    return "none" if value is None or math.isnan(value) else f"{100 * value:.1f}"


def _with_quartiles(point: Mapping[str, Any]) -> str:
    """The time of a point by that of dense, and where half of the turns are."""
    if "time_ratio_q1" not in point:
        return f"{time_ratio(point):.2f}"
    low, high = point["time_ratio_q1"], point["time_ratio_q3"]
    return f"{time_ratio(point):.2f} ({low:.2f}-{high:.2f})"
