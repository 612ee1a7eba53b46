"""Where modules stand in a model, and the names of such places ("body/blocks/0").

A stack is one module that holds several layers, each array with a leading axis for
them, as `nnx.vmap` makes and `nnx.scan` runs it. Its layers have names of their own
("body/blocks[0]").
"""

import re
from collections.abc import Iterable
from typing import Any

from flax import nnx

_LAYER = re.compile(r"(.*)\[(\d+)\]")


def path_name(path: Iterable[Any]) -> str:
    """A path in a model as the keys of records write it."""
    return "/".join(map(str, path))


def layer_name(name: str, layer: int | None) -> str:
    """The name of one layer of a stack; that of a module for None."""
    return name if layer is None else f"{name}[{layer}]"


def split_layer(name: str) -> tuple[str, int | None]:
    """The name of a module, and which layer of its stack is meant, if it is one."""
    found = _LAYER.fullmatch(name)
    return (found[1], int(found[2])) if found else (name, None)


def stands_inside(name: str, other: str) -> bool:
    """Whether one module stands inside of another, by their names.

    Of two stacks that run together, each layer stands in the one of its number.
    """
    (own, layer), (around, number) = split_layer(name), split_layer(other)
    inside = own != around and (not around or own.startswith(f"{around}/"))
    return inside and number in (None, layer)


def part_at(model: Any, path: Iterable[Any]) -> Any:
    """The part of a model that stands at a path, as `nnx.iter_modules` gives it."""
    part = model
    for key in path:
        part = getattr(part, key) if _is_attribute(part, key) else part[key]
    return part


def put_at(model: Any, path: tuple[Any, ...], part: Any):
    """Replaces what stands at a path.

    Args:
        model: Changed in place.
        path: As in `part_at`; not empty.
        part: What stands there from now on.

    Raises:
        ValueError: If it stands in a tuple, which cannot be changed.
    """
    parent: Any = part_at(model, path[:-1])
    key = path[-1]
    if isinstance(parent, tuple):
        raise ValueError("it stands in a tuple, which cannot be changed: use nnx.List.")
    if _is_attribute(parent, key):
        setattr(parent, key, part)
    else:
        parent[key] = part


def _is_attribute(part: Any, key: Any) -> bool:
    """Whether a module has a part by name, not by number, as lists have it."""
    return isinstance(part, nnx.Module) and isinstance(key, str)
