"""What a load did to a served model, from serving.csv."""

import csv
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from dynsparse.reports.markup import Row


def read_serving(run: pathlib.Path) -> list[dict[str, Any]]:
    """Returns the rows of `run`/serving.csv; what a refused request lacks is None."""
    numbers = ("arrival", "rung", "budget", "seconds", "right")
    rows = []
    with (run / "serving.csv").open(newline="") as file:
        for text in csv.DictReader(file):
            row: dict[str, Any] = dict(text)
            row |= {k: float(text[k]) if text[k] else None for k in numbers}
            row["in_time"] = text["in_time"] == "True"
            rows.append(row)
    return rows


def serving_table(rows: Sequence[Row], title: str) -> Table:
    """Requests answered in time, by policy.

    Args:
        rows: From `read_serving`, or as they were measured.
        title: Of the table.
    """
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1))
    for column in ("policy", "requests", "in time %", "refused %", "acc %", "of MACs"):
        table.add_column(column, justify="left" if column == "policy" else "right")
    for policy, chosen in _by_policy(rows).items():
        answered = [row for row in chosen if row["rung"] is not None]
        mean = lambda key, of: statistics.mean(row[key] for row in of) if of else 0.0
        cells = (
            100 * mean("in_time", chosen),
            100 * (1 - len(answered) / len(chosen)),
            100 * mean("right", answered),
        )
        table.add_row(
            policy,
            str(len(chosen)),
            *(f"{cell:.1f}" for cell in cells),
            f"{mean('budget', answered):.3f}",
        )
    return table


def draw_serving(run: pathlib.Path, title: str, deadline: float) -> pathlib.Path:
    """Draws `run`/serving.png: what the controller did, and every policy beside it.

    Args:
        run: Folder that holds serving.csv.
        title: Of the figure.
        deadline: Seconds in which requests were to be answered.

    Returns:
        The file.
    """
    policies = _by_policy(read_serving(run))
    rows = policies["controller"]
    figure = Figure(figsize=(11, 6), layout="constrained")
    figure.suptitle(title)
    grid = figure.add_gridspec(3, 2, width_ratios=(2, 1))
    load, budget, time = (figure.add_subplot(grid[i, 0]) for i in range(3))
    end = max(row["arrival"] for row in rows)
    bins = [end * i / 60 for i in range(61)]
    width = bins[1] or 1.0
    load.hist(
        [row["arrival"] for row in rows],
        bins,
        weights=[1 / width] * len(rows),
        color="0.7",
    )
    load.set(ylabel="requests/s", xticklabels=[])
    answered = [row for row in rows if row["rung"] is not None]
    refused = [row for row in rows if row["rung"] is None]
    arrival = [row["arrival"] for row in answered]
    budget.step(
        arrival, [row["budget"] for row in answered], where="post", color="#0072B2"
    )
    budget.set(ylabel="MACs / dense", ylim=(0, 1.05), xticklabels=[])
    time.plot(
        arrival,
        [1e3 * row["seconds"] for row in answered],
        ".",
        markersize=3,
        color="#0072B2",
        label="answered",
    )
    time.axhline(1e3 * deadline, color="#D55E00", linestyle="--", label="deadline")
    if refused:
        refusals = [row["arrival"] for row in refused]
        time.plot(
            refusals,
            [1e3 * deadline] * len(refusals),
            "x",
            color="#D55E00",
            label="refused",
        )
    time.set(ylabel="ms to the answer", xlabel="seconds")
    time.set_ylim(bottom=0)
    time.legend(fontsize=8, loc="upper left", ncols=3)
    for axes in (load, budget, time):
        axes.set_xlim(0, end)
    _compare(figure.add_subplot(grid[:, 1]), policies)
    path = run / "serving.png"
    figure.savefig(path, dpi=130)
    return path


def _compare(axes, policies: Mapping[str, Sequence[Row]]):
    """In time, and right in time, by policy."""
    names = list(policies)[::-1]
    share = lambda name: 100 * statistics.mean(r["in_time"] for r in policies[name])
    right = lambda name: (
        100
        * statistics.mean(r["right"] if r["in_time"] else 0.0 for r in policies[name])
    )
    axes.barh(names, [share(n) for n in names], color="#56B4E9", label="in time")
    axes.barh(
        names,
        [right(n) for n in names],
        height=0.35,
        color="#0072B2",
        label="right, in time",
    )
    axes.set(xlabel="% of the requests", xlim=(0, 100))
    axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _by_policy(rows: Sequence[Row]) -> dict[str, list[Row]]:
    policies: dict[str, list[Row]] = {}
    for row in rows:
        policies.setdefault(row["policy"], []).append(row)
    return policies
