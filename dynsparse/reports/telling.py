"""What tells runs apart, in a few words, from their configs."""

import pathlib
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dynsparse.reports import tables

Word = bool | str | int | float
_OWN = "own"  # the budget of a config that names none
_TOLD = {
    *("names.method", "names.model", "names.budget", "model.name"),
    *("model.granularity", "seed", "train.num_steps", "optimizer.learning_rate"),
}


def telling(config: Mapping[str, Any]) -> dict[str, Word | None]:
    """Returns what one asks first about a run, in the order of the asking.

    Args:
        config: Plain values of the whole config.

    Returns:
        `method`, `model`, `granularity`, `budget`, `density`, `seed`, `steps` and
        `learning rate`; None for what the run does not have.

    Example:
        >>> budget = dict(name="fixed", density=0.5)
        >>> config = dict(seed=0, gate=dict(name="soft_topk"), budget=budget)
        >>> {k: v for k, v in reports.telling(config).items() if v is not None}
        {'method': 'soft_topk', 'budget': 'fixed', 'density': '0.5', 'seed': 0}
    """
    flat = dict(flattened(config))
    policy, density = _budget(config)
    named = {key: flat.get(f"names.{key}") for key in ("method", "model", "budget")}
    return {
        "method": flat.get("gate.name"),
        "model": flat.get("model.name"),
        "granularity": flat.get("model.granularity"),
        "budget": policy,
        "density": density,
        "seed": flat.get("seed"),
        "steps": flat.get("train.num_steps"),
        "learning rate": flat.get("optimizer.learning_rate"),
    } | {key: name for key, name in named.items() if name not in (None, _OWN)}


def run_in_words(
    result: Mapping[str, Any], config: Mapping[str, Any], workdir: pathlib.Path
) -> str:
    """Returns what made a run, in Markdown: command, commit, numbers and config.

    Args:
        result: Content of result.json.
        config: Plain values of the whole config.
        workdir: Folder of the run.

    Example:
        >>> import pathlib
        >>> result = dict(title="soft_topk", commit="a", device="cpu", seed=0, steps=9)
        >>> result |= dict(parameters=12, macs_dense=2e6, warnings=[])
        >>> reports.run_in_words(result, dict(seed=0), pathlib.Path("runs/a"))[:13]
        '**soft_topk**'
    """
    shown = [dict(key=key, value=str(value)) for key, value in flattened(config)]
    return "\n\n".join(
        [
            f"**{result['title']}**, in `{workdir}`",
            f"`{shlex.join(sys.argv)}`",
            f"Commit {result['commit']}, {result['device']}, seed {result['seed']}, "
            f"{result['steps']:,} steps, {result['parameters']:,} parameters, "
            f"{result['macs_dense'] / 1e6:.3f} M MACs dense.",
            *(f"Warning: {warning}." for warning in result["warnings"]),
            tables.markdown_table(shown, ("key", "value")),
        ]
    )


def other_settings(config: Mapping[str, Any]) -> dict[str, Word]:
    """Returns the dotted keys of a config and their values, as plain words.

    Args:
        config: Plain values; None, what is empty and what `telling` tells are left out.

    Example:
        >>> reports.other_settings(dict(seed=0, gate=dict(temperature=0.5)))
        {'gate.temperature': 0.5}
    """
    return {
        key: value if isinstance(value, Word) else str(value)
        for key, value in flattened(config)
        if key not in _TOLD and not _is_nothing(value)
    }


def differences(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Returns the dotted keys whose values differ, with the value of each record.

    A key that one record lacks, None and what is empty are all "none".
    """
    flat = [dict(flattened(record)) for record in records]
    keys = dict.fromkeys(key for record in flat for key in record)
    said = lambda value: "none" if _is_nothing(value) else value
    found = {key: [said(record.get(key)) for record in flat] for key in keys}
    return {k: v for k, v in found.items() if any(one != v[0] for one in v)}


def flattened(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the dotted keys of nested plain values, with what they hold."""
    for key, value in record.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _is_nothing(value: Any) -> bool:
    empty = isinstance(value, Mapping | list | tuple | str) and not value
    return value is None or empty


def _budget(config: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """How a run meets a budget, and at what it aims: a target, a density, or any."""
    section = lambda record, name: (
        record[name] if isinstance(record.get(name), Mapping) else {}
    )
    budget = section(config, "budget")
    controller, drawn, penalties = (
        section(budget, name) for name in ("controller", "sampling", "penalties")
    )
    names = [part["name"] for part in (controller, drawn) if "name" in part]
    policy = "+".join([*names, *penalties]) or budget.get("name")
    if drawn:
        same = "low" in drawn and drawn["low"] == drawn["high"]
        return policy, f"{drawn['low']:g}" if same else "any"
    aims = [budget.get("target"), *(one.get("target") for one in penalties.values())]
    known = [aim for aim in (*aims, budget.get("density")) if aim is not None]
    return policy, f"{known[0]:g}" if known else None
