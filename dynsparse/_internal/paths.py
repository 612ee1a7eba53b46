"""Where modules stand in a model, and the names of such places ("body/blocks/0")."""

from collections.abc import Iterable
from typing import Any

from flax import nnx


def path_name(path: Iterable[Any]) -> str:
    """A path in a model as the keys of records write it."""
    return "/".join(map(str, path))


def stands_inside(name: str, other: str) -> bool:
    """Whether one module stands inside of another, by their names."""
    return name != other and (not other or name.startswith(f"{other}/"))


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
