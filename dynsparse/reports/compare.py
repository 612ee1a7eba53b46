"""Two runs or more side by side: what was asked differently, then what came out."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table

from dynsparse.reports.telling import flattened

_MADE_WITH = ("commit", "device", "processor", "cores", "python", "packages")
_ABSENT = "absent"


def compare_runs(runs: Sequence[pathlib.Path]) -> Group:
    """What finished runs differ in, and their numbers from dear to cheap.

    Args:
        runs: Their folders; the tables call them 1, 2 and so on.
    """
    configs, results = (
        [json.loads((run / name).read_text()) for run in runs]
        for name in ("config.json", "result.json")
    )
    named = [f"{number}  {run}" for number, run in enumerate(runs, start=1)]
    return Group(*named, _difference_table(configs, results), _number_table(results))


def differences(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Returns the dotted keys whose values differ, with the value of each record.

    Args:
        records: Nested plain values; a key that one lacks is "absent" there.
    """
    flat = [dict(flattened(record)) for record in records]
    keys = dict.fromkeys(key for record in flat for key in record)
    found = {key: [record.get(key, _ABSENT) for record in flat] for key in keys}
    return {
        key: values
        for key, values in found.items()
        if any(value != values[0] for value in values)
    }


def _difference_table(configs, results) -> Table | str:
    made = [{name: result[name] for name in _MADE_WITH} for result in results]
    found = differences(configs) | {
        f"(made with) {key}": values for key, values in differences(made).items()
    }
    if not found:
        return "The configs are the same."
    table = Table(title="What differs", box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("key")
    for number in range(1, len(configs) + 1):
        table.add_column(str(number), overflow="fold")
    for key, values in found.items():
        table.add_row(key, *(_short(key, value) for value in values))
    return table


def _number_table(results: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="What came out", box=box.SIMPLE_HEAD, padding=(0, 1))
    columns = ("run", "density", "M MACs", "of dense", "acc %", "ms", "of dense")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    points = [
        (number, point)
        for number, result in enumerate(results, start=1)
        for point in result["curve"]
    ]
    for number, point in sorted(points, key=lambda one: (-one[1]["budget"], one[0])):
        table.add_row(
            str(number),
            f"{point['density']:.3f}",
            f"{point['macs_mean'] / 1e6:.3f}",
            f"{point['budget']:.3f}",
            f"{100 * point['accuracy']:.2f}",
            f"{point['latency_ms']:.1f}",
            f"{point['latency_ms'] / point['latency_dense_ms']:.2f}",
        )
    return table


def _short(key: str, value: Any) -> str:
    if not key.endswith("commit"):
        return str(value)
    known, changed, which = str(value).partition("+")
    return known[:12] + changed + which
