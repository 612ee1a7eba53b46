"""What tells runs apart, in a few words, from their configs."""

import pathlib
import shlex
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from dynsparse.reports.markup import markdown_table

Word = bool | str | int | float
_OWN = "own"  # the budget of a config that names none
_TOLD = (
    "names.method",
    "names.model",
    "names.budget",
    "model.name",
    "model.granularity",
    "seed",
    "train.num_steps",
    "optimizer.learning_rate",
)


def telling(config: Mapping[str, Any]) -> dict[str, Word | None]:
    """Returns what one asks first about a run, in the order of the asking.

    Args:
        config: Plain values of the whole config.

    Returns:
        `method`, `model`, `granularity`, `budget`, `density`, `seed`, `steps` and
        `learning rate`; None for what the run has not.
    """
    names, gate = _section(config, "names"), _section(config, "gate")
    model = _section(config, "model")
    word = lambda name, found: found if names.get(name) in (None, _OWN) else names[name]
    return {
        "method": word("method", _value(gate, "name")),
        "model": word("model", _value(model, "name")),
        "granularity": _value(model, "granularity"),
        "budget": word("budget", _budget(config)),
        "density": _density(config),
        "seed": _value(config, "seed"),
        "steps": _value(_section(config, "train"), "num_steps"),
        "learning rate": _value(_section(config, "optimizer"), "learning_rate"),
    }


def run_in_words(
    result: Mapping[str, Any], config: Mapping[str, Any], workdir: pathlib.Path
) -> str:
    """Returns what made a run, in Markdown: command, commit, numbers and config.

    Args:
        result: The content of result.json.
        config: Plain values of the whole config.
        workdir: Folder of the run.
    """
    dense = result["macs_dense"] / 1e6
    lines = [
        f"**{result['title']}**, in `{workdir}`",
        f"`{shlex.join(sys.argv)}`",
        f"Commit {result['commit']}, {result['device']}, seed {result['seed']}, "
        f"{result['steps']:,} steps, {result['parameters']:,} parameters, "
        f"{dense:.3f} M MACs dense.",
        *(f"Warning: {warning}." for warning in result["warnings"]),
    ]
    rows = [dict(key=key, value=value) for key, value in flattened(config)]
    shown = [row | dict(value=str(row["value"])) for row in rows]
    return "\n\n".join([*lines, markdown_table(shown, ("key", "value"))])


def other_settings(config: Mapping[str, Any]) -> dict[str, Word]:
    """Returns the dotted keys of a config and their values, as plain words.

    Args:
        config: Plain values; None, what is empty and what `telling` tells are left out.
    """
    return {
        key: value if isinstance(value, Word) else str(value)
        for key, value in flattened(config)
        if key not in _TOLD and not is_nothing(value)
    }


def flattened(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the dotted keys of nested plain values, with what they hold.

    Args:
        record: Its empty parts are values of their own.
        prefix: Of all keys.
    """
    for key, value in record.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def is_nothing(value: Any) -> bool:
    """Whether a value of a config says that there is none: None, {}, [] or ""."""
    return value is None or (
        isinstance(value, Mapping | list | tuple | str) and not value
    )


def _budget(config: Mapping[str, Any]) -> str | None:
    """How the run meets a budget: what draws its densities, bounds or penalises it."""
    constraint = _section(config, "budget_constraint")
    names = [_value(_section(constraint, "controller"), "name")]
    names.append(_value(_section(config, "density_sampling"), "name"))
    names += list(_section(config, "penalties"))
    return "+".join(name for name in names if name) or None


def _density(config: Mapping[str, Any]) -> str | None:
    """What is aimed at: a target, the one drawn density, any, or the gate's own."""
    drawn = _section(config, "density_sampling")
    if drawn:
        same = "low" in drawn and drawn["low"] == drawn["high"]
        return f"{drawn['low']:g}" if same else "any"
    aims = [_section(config, "budget_constraint")]
    aims += _section(config, "penalties").values()
    aims += [dict(target=_value(_section(config, "gate"), "density"))]
    known = [aim["target"] for aim in aims if aim.get("target") is not None]
    return f"{known[0]:g}" if known else None


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = _value(config, name)
    return found if isinstance(found, Mapping) else {}


def _value(section: Mapping[str, Any], name: str) -> Any:
    return section.get(name)
