"""The table that a run ends with, and runs side by side."""

import math
import pathlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table

from dynsparse.reports.metric import Metric
from dynsparse.reports.runs import BUSY, is_busy, quartiles, read_run, time_ratio
from dynsparse.reports.stats import grouped
from dynsparse.reports.tables import screen_table
from dynsparse.reports.telling import differences, telling

_MADE_WITH = ("commit", "device", "processor", "cores", "python", "packages")
_LINE = 40  # characters of all values of a key, above which each has its own
_WORDS = 2  # at most, in the name of a run
_NUMBERS = ("density", "seed", "steps", "learning rate")


def run_summary(
    result: Mapping[str, Any], run: pathlib.Path, more: str | None = None
) -> Group:
    """Returns what a run ends with: its table, its figures, and how to see more.

    Args:
        result: Content of result.json.
        run: Folder of the run.
        more: A line on how to get the other points of its curve, if any.

    Example:
        >>> import pathlib
        >>> point = dict.fromkeys(reports.FIELDS, 0.5) | dict(recovery={})
        >>> result = dict(title="a run", curve=[point], warnings=[], batch_size=64)
        >>> result |= dict(macs_dense=2e6, macs_floor=1e5)
        >>> result |= dict(metric=reports.Metric()._asdict())
        >>> summary = reports.run_summary(result, pathlib.Path("runs/a"))
        >>> summary.renderables[0].row_count
        1
    """
    shown = " ".join(map(str, sorted(run.glob("*.png"))))
    board = shlex.join([sys.executable, "-m", "tensorboard.main", "--logdir", str(run)])
    lines = [f"warning  {warning}" for warning in result["warnings"]]
    lines += [f"curve    {more}"] if more else []
    return Group(curve_table(result), *lines, f"figures  {shown}", f"explore  {board}")


def curve_table(result: Mapping[str, Any]) -> Table:
    """Returns density, cost, accuracy and time at each point of a run, as a table."""
    points: Sequence[Mapping[str, Any]] = result["curve"]
    metric = Metric.of(result)
    recovery = all(len(point["recovery"]) == 1 for point in points)
    more = ("prec %", "rand", "rec %", "rand") if recovery else ()
    table = screen_table(result["title"], (*_columns(metric), *more))
    for point in points:
        *cells, time = _cells(point, metric)
        low, _, high = quartiles(point)
        time += f" ({low:.2f}-{high:.2f})" * (low < high)
        (found,) = point["recovery"].values() if recovery else ({},)
        names = ("precision", "random_precision", "recall", "random_recall")
        shares = [_share(found[name]) for name in names if name in found]
        table.add_row(*cells, time, *shares)
    dense, floor = result["macs_dense"], result["macs_floor"]
    opened = result.get("everything_open")
    same = "" if opened is None else "*the same network, all gates open; "
    if opened is not None:
        score = metric.text(opened)
        table.add_row("open*", f"{dense / 1e6:.3f}", "1.000", score, "", "1.00")
    table.caption = (
        f"{f'{BUSY}. ' if is_busy(points) else ''}{same}per {metric.noun}; "
        f"ms per batch of {result['batch_size']}; MACs and time "
        f"as fractions of the dense network's (time: median and quartiles of paired "
        f"turns; {dense / 1e6:.3f} M MACs); floor, which no gate can close: "
        f"{floor / 1e6:.3f} M MACs ({floor / dense:.1%})"
    )
    if recovery:
        table.caption += "; precision and recall of the true places, beside random"
    return table


def compare_runs(runs: Sequence[pathlib.Path]) -> Group:
    """Returns what finished runs differ in, and the numbers of each, dense to sparse.

    Args:
        runs: Folders; the tables call them 1, 2 and so on, and by what tells them
            apart.

    Raises:
        DamagedFileError: If a file is missing or damaged.

    Example:
        >>> import pathlib
        >>> reports.compare_runs([pathlib.Path("nowhere")])
        Traceback (most recent call last):
        dynsparse._internal.atomic_write.DamagedFileError: 'nowhere' is not the folder
            of a finished run: it has no config.json
    """
    configs, results = zip(*map(read_run, runs), strict=True)
    names = _names([telling(config) for config in configs])
    named = [f"{name}  {run}" for name, run in zip(names, runs, strict=True)]
    return Group(
        *named, _difference_table(configs, results), _number_table(names, results)
    )


def _columns(metric: Metric) -> tuple[str, ...]:
    return ("density", "M MACs", "MACs", metric.column, "ms", "time")


def _cells(point: Mapping[str, Any], metric: Metric) -> list[str]:
    """What stands below `_columns`."""
    return [
        f"{point['density']:.3f}",
        f"{point['macs_mean'] / 1e6:.3f}",
        f"{point['budget']:.3f}",
        metric.text(point["score"]),
        f"{point['latency_ms']:.1f}",
        f"{time_ratio(point):.2f}",
    ]


def _share(value: float | None) -> str:
    """A share of what may be nothing, which JSON keeps as null."""
    return "none" if value is None or math.isnan(value) else f"{100 * value:.1f}"


def _names(told: Sequence[Mapping[str, Any]]) -> list[str]:
    """A number for each run, and the words that tell it apart from the others."""
    apart = [key for key in told[0] if len({str(words[key]) for words in told}) > 1]
    shown = apart[:_WORDS] if apart[:1] != ["seed"] else apart[:1]
    words = lambda one: ", ".join(
        f"{key} {one[key]}" if key in _NUMBERS else str(one[key])
        for key in shown
        if one[key] is not None
    )
    return [f"{i} {words(one)}".strip() for i, one in enumerate(told, start=1)]


def _difference_table(configs, results) -> Table | str:
    made = [{name: result.get(name) for name in _MADE_WITH} for result in results]
    found = differences(configs)
    found |= {f"(made with) {key}": value for key, value in differences(made).items()}
    if not found:
        return "The configs are the same."
    table = Table(title="What differs", box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("key", no_wrap=True)
    table.add_column("value (of the runs)", overflow="fold")
    for key in sorted(found, key=lambda key: not key.startswith("names.")):
        said = [str(value) for value in found[key]]
        if key.endswith("commit"):
            said = [text[:12] + "".join(text.partition("+")[1:]) for text in said]
        runs = grouped(range(len(said)), lambda run, said=said: said[run])
        each = [
            f"{value} ({','.join(str(run + 1) for run in some)})"
            for value, some in runs.items()
        ]
        line = "  ".join(each)
        table.add_row(key, line if len(line) <= _LINE else "\n".join(each))
    return table


def _number_table(names: Sequence[str], results: Sequence[Mapping[str, Any]]) -> Table:
    metrics = {Metric.of(result) for result in results}
    shown = Metric(name="score", unit="") if len(metrics) > 1 else metrics.pop()
    columns = ("run", *_columns(shown))
    table = screen_table("What came out", columns, left="run", padding=1)
    name = table.columns[0]
    name.no_wrap, name.overflow, name.max_width = False, "fold", 28
    for name, result in zip(names, results, strict=True):
        points = sorted(result["curve"], key=lambda point: -point["budget"])
        for number, point in enumerate(points):
            table.add_row("" if number else name, *_cells(point, Metric.of(result)))
        table.add_section()
    busy = f"; {BUSY}" if any(is_busy(result["curve"]) for result in results) else ""
    table.caption = f"MACs and time: fractions of the run's dense network{busy}"
    return table
