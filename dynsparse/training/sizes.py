"""Refuses what no memory holds, before anything is made."""

import os
from collections.abc import Mapping
from typing import Any

_MOST_DEPTH = 1_024
_COPIES = 16  # bytes of a parameter in training: itself, its gradient, two moments


def check_sizes(config: Mapping[str, Any]):
    """Refuses a depth, a width or a number of examples that is out of reach.

    Args:
        config: Its sections `data`, `model` and `train`, of checked types. What it
            holds is bounded from below: a run may need much more.

    Raises:
        ValueError: With the keys whose product is too large.
    """
    model, data = config["model"], config["data"]
    size = lambda section, key: _number(section, key)
    depth = size(model, "depth")
    if depth > _MOST_DEPTH:
        raise ValueError(f"model: depth must be at most {_MOST_DEPTH}, got {depth}.")
    width, mlp = size(model, "width"), size(model, "mlp_width")
    layers = dict(depth=depth, width=width, mlp_width=max(mlp, width))
    _require("model", layers, _COPIES)
    _require("scorer", dict(hidden=size(config["scorer"], "hidden")), _COPIES * width)
    canvas = size(data, "canvas")
    for name in ("num_train", "num_validation", "num_test"):
        number = size(data, name)
        _require("data", {name: number, "canvas": canvas}, 5 * canvas)  # floats, bytes
    for section in ("train", "evaluation"):
        number = size(config[section], "batch_size")
        _require(section, dict(batch_size=number), 4 * width)


def _require(section: str, factors: Mapping[str, int], each: int):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    needed = each
    for factor in factors.values():
        needed *= factor
    if needed > memory:
        keys = ", ".join(f"{key}={value}" for key, value in factors.items())
        raise ValueError(
            f"{section}: {keys} is too large: it takes {needed / 2**30:.3g} GiB or "
            f"more, and this machine has {memory / 2**30:.3g}."
        )


def _number(section: Mapping[str, Any], key: str) -> int:
    """A key that another model or task may lack, or use for something else."""
    value = dict(section.items()).get(key)  # what takes a key reads it, not this
    return max(value, 1) if isinstance(value, int) else 1
