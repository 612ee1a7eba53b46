"""Names of modules by where they stand in a model, such as "body/blocks/0"."""

from collections.abc import Iterable
from typing import Any


def path_name(path: Iterable[Any]) -> str:
    """A path in a model as the keys of records write it."""
    return "/".join(map(str, path))


def stands_inside(name: str, other: str) -> bool:
    """Whether one module stands inside of another, by their names."""
    return name != other and (not other or name.startswith(f"{other}/"))
