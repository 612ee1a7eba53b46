"""Two runs or more side by side: what was asked differently, then what came out."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table

from dynsparse.reports.curve import BUSY, is_busy, time_ratio
from dynsparse.reports.records import read_run
from dynsparse.reports.telling import flattened, is_nothing, telling

_MADE_WITH = ("commit", "device", "processor", "cores", "python", "packages")
_LINE = 40  # characters of all values of a key, above which each has its own
_WORDS = 2  # at most, in the name of a run
_NUMBERS = ("density", "seed", "steps", "learning rate")
_NOTHING = "none"  # absent, None and empty


def compare_runs(runs: Sequence[pathlib.Path]) -> Group:
    """What finished runs differ in, and the numbers of each from dear to cheap.

    Args:
        runs: Their folders; the tables call them 1, 2 and so on, and by what tells them
            apart.

    Raises:
        DamagedFileError: If a file is missing or damaged.
    """
    configs, results = zip(*map(read_run, runs), strict=True)
    names = _names(configs)
    named = [f"{name}  {run}" for name, run in zip(names, runs, strict=True)]
    return Group(
        *named, _difference_table(configs, results), _number_table(names, results)
    )


def differences(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Returns the dotted keys whose values differ, with the value of each record.

    Args:
        records: Nested plain values; a key that one lacks, None and what is empty are
            all "none".
    """
    flat = [dict(flattened(record)) for record in records]
    keys = dict.fromkeys(key for record in flat for key in record)
    said = lambda value: _NOTHING if is_nothing(value) else value
    found = {key: [said(record.get(key)) for record in flat] for key in keys}
    return {
        key: values
        for key, values in found.items()
        if any(value != values[0] for value in values)
    }


def _names(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """A number for each run, and the words that tell it apart from the others."""
    told = [telling(config) for config in configs]
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
    found = differences(configs) | {
        f"(made with) {key}": values for key, values in differences(made).items()
    }
    if not found:
        return "The configs are the same."
    table = Table(title="What differs", box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("key", no_wrap=True)
    table.add_column("value (of the runs)", overflow="fold")
    first = sorted(found, key=lambda key: not key.startswith("names."))
    for key, values in ((key, found[key]) for key in first):
        runs: dict[str, list[str]] = {}
        for number, value in enumerate(values, start=1):
            runs.setdefault(_short(key, value), []).append(str(number))
        each = [f"{value} ({','.join(numbers)})" for value, numbers in runs.items()]
        line = "  ".join(each)
        table.add_row(key, line if len(line) <= _LINE else "\n".join(each))
    return table


def _number_table(names: Sequence[str], results: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="What came out", box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("run", overflow="fold", max_width=28)
    for column in ("density", "M MACs", "MACs", "acc %", "ms", "time"):
        table.add_column(column, justify="right", no_wrap=True)
    busy = False
    for name, result in zip(names, results, strict=True):
        points = sorted(result["curve"], key=lambda point: -point["budget"])
        busy = busy or is_busy(points)
        for place, point in enumerate(points):
            table.add_row(
                name if not place else "",
                f"{point['density']:.3f}",
                f"{point['macs_mean'] / 1e6:.3f}",
                f"{point['budget']:.3f}",
                f"{100 * point['accuracy']:.2f}",
                f"{point['latency_ms']:.1f}",
                f"{time_ratio(point):.2f}",
                end_section=place == len(points) - 1,
            )
    busy_words = f"; {BUSY}" if busy else ""
    table.caption = f"MACs and time: fractions of the run's dense network{busy_words}"
    return table


def _short(key: str, value: Any) -> str:
    if not key.endswith("commit"):
        return str(value)
    known, changed, which = str(value).partition("+")
    return known[:12] + changed + which
