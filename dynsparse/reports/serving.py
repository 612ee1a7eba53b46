"""Table and figure of what a load did to a served model, from serving.csv."""

import csv
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from matplotlib.figure import Figure
from rich.table import Table

from dynsparse.reports import figures
from dynsparse.reports.stats import Row, grouped
from dynsparse.reports.tables import screen_table

_NUMBERS = ("arrival", "rung", "budget", "seconds", "right", "right_in_time")
_COLUMNS = (
    *("policy", "requests", "in time %", "refused %", "acc %", "right, in time %"),
    "of MACs",
)


def read_serving(run: pathlib.Path) -> list[dict[str, Any]]:
    """Returns the rows of `run`/serving.csv; what a refused request lacks is None.

    Example:
        >>> import pathlib
        >>> row = dict(policy="controller", round=0, arrival=1.0, rung=0, budget=0.5)
        >>> row |= dict(seconds=0.01, right=1.0, in_time=True, right_in_time=1.0)
        >>> reports.tables.write_csv(pathlib.Path("serving.csv"), [row])
        >>> reports.read_serving(pathlib.Path())[0]["seconds"]
        0.01
    """
    rows = []
    with (run / "serving.csv").open(newline="") as file:
        for text in csv.DictReader(file):
            numbers = {k: float(text[k]) if text[k] else None for k in _NUMBERS}
            told = dict(in_time=text["in_time"] == "True", round=int(text["round"]))
            rows.append(dict(text) | numbers | told)
    return rows


def serving_table(rows: Sequence[Row], title: str) -> Table:
    """Returns the shares of requests answered in time, rightly, and both, by policy.

    Shares are medians over the rounds; of those right and in time, the least and the
    most stand beside it.

    Args:
        rows: From `read_serving`, or as they were measured.
        title: Title of the table.

    Example:
        >>> row = dict(policy="controller", round=0, arrival=1.0, rung=0, budget=0.5)
        >>> row |= dict(seconds=0.01, right=1.0, in_time=True, right_in_time=1.0)
        >>> reports.serving_table([row], "a run").row_count
        1
    """
    table = screen_table(title, _COLUMNS, left="policy")
    for policy, chosen in grouped(rows, itemgetter("policy")).items():
        shares = _shares(chosen)
        low, middle, high = shares["right_in_time"]
        spread = f" ({low:.1f}-{high:.1f})" * (len({r["round"] for r in chosen}) > 1)
        table.add_row(
            policy,
            str(len(chosen)),
            *(f"{shares[key][1]:.1f}" for key in ("in_time", "refused", "right")),
            f"{middle:.1f}{spread}",
            f"{shares['budget'][1] / 100:.3f}",
        )
    return table


def draw_serving(run: pathlib.Path, title: str, deadline: float) -> pathlib.Path:
    """Draws what the controller did in the first round, and every policy beside it.

    Args:
        run: Folder that holds serving.csv; gets serving.png, SVG and PDF beside it.
        title: Title of the figure.
        deadline: Seconds in which requests were to be answered.

    Returns:
        The PNG.

    Example:
        >>> import pathlib
        >>> row = dict(policy="controller", round=0, arrival=1.0, rung=0, budget=0.5)
        >>> row |= dict(seconds=0.01, right=1.0, in_time=True, right_in_time=1.0)
        >>> reports.tables.write_csv(pathlib.Path("serving.csv"), [row])
        >>> reports.draw_serving(pathlib.Path(), "a run", deadline=0.03).name
        'serving.png'
    """
    policies = grouped(read_serving(run), itemgetter("policy"))
    figure = Figure(figsize=(figures.PAGE, 5.5), layout="constrained")
    figure.suptitle(title)
    grid = figure.add_gridspec(3, 2, width_ratios=(2, 1))
    panels = [figure.add_subplot(grid[i, 0]) for i in range(3)]
    controlled = policies["controller"]
    first = min(row["round"] for row in controlled)
    shown = [row for row in controlled if row["round"] == first]
    _draw_controller(panels, shown, deadline)
    _draw_policies(figure.add_subplot(grid[:, 1]), policies)
    return figures.save(figure, run / "serving")


def _draw_controller(panels: Sequence[Any], rows: Sequence[Row], deadline: float):
    """Load, budget and time to the answer over the seconds of a replay."""
    load, budget, time = panels
    end = max(row["arrival"] for row in rows)
    rates = [60 / (end or 60.0)] * len(rows)
    load.hist([row["arrival"] for row in rows], 60, weights=rates, color="0.7")
    load.set(ylabel="requests/s", xticklabels=[])
    answered = [row for row in rows if row["rung"] is not None]
    refused = [row["arrival"] for row in rows if row["rung"] is None]
    arrival = [row["arrival"] for row in answered]
    budgets = [row["budget"] for row in answered]
    budget.step(arrival, budgets, where="post", color=figures.BLUE)
    budget.set(ylabel="MACs / dense", ylim=(0, 1.05), xticklabels=[])
    ms, limit = [1e3 * row["seconds"] for row in answered], 1e3 * deadline
    time.plot(arrival, ms, ".", markersize=3, color=figures.BLUE, label="answered")
    time.axhline(limit, color=figures.ORANGE, linestyle="--", label="deadline")
    if refused:
        time.plot(
            refused, [limit] * len(refused), "x", color=figures.ORANGE, label="refused"
        )
    time.set(ylabel="ms to the answer", xlabel="seconds")
    time.set_ylim(0, 1.1 * max(limit, *ms, 0.0))
    for axes in panels:
        axes.set_xlim(0, end)


def _draw_policies(axes, policies: Mapping[str, Sequence[Row]]):
    """In time, and right in time, by policy: a rung by the budget that it spends."""
    rows = [
        dict(policy=_label(name, some), of=of, share=_shares(some)[key])
        for name, some in reversed(list(policies.items()))
        for key, of in dict(in_time="in time", right_in_time="right, in time").items()
    ]
    looks = figures.strokes(["in time", "right, in time"])
    words = dict(share="% of the requests: median, range", policy="")
    figures.errorbars(axes, rows, "share", "policy", "of", looks=looks, labels=words)
    axes.set_xlim(0, 103)


def _label(policy: str, rows: Sequence[Row]) -> str:
    budgets = {row["budget"] for row in rows if row["rung"] is not None}
    if policy == "controller" or len(budgets) != 1:
        return policy
    return f"{policy}: {budgets.pop():.2f} of MACs"


def _shares(rows: Sequence[Row]) -> dict[str, tuple[float, float, float]]:
    """Requests of a policy in percent: the least, the median and the most of rounds."""
    rounds = []
    for some in grouped(rows, itemgetter("round")).values():
        answered = [row for row in some if row["rung"] is not None]
        mean = lambda key, of: (
            100.0 * statistics.mean(row[key] for row in of) if of else 0.0
        )
        rounds.append(
            dict(
                in_time=mean("in_time", some),
                refused=100 - 100 * len(answered) / len(some),
                right=mean("right", answered),
                right_in_time=mean("right_in_time", some),
                budget=mean("budget", answered),
            )
        )
    values = {key: [shares[key] for shares in rounds] for key in rounds[0]}
    return {
        key: (min(some), statistics.median(some), max(some))
        for key, some in values.items()
    }
