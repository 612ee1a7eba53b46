"""Places in a model that the rules of `sparsify` are about."""

import collections
import fnmatch
from collections.abc import Mapping

from flax import nnx

from dynsparse._internal import registry
from dynsparse._internal.paths import part_at, path_name


def find_places(
    model: nnx.Module, rules: Mapping[str, registry.Config]
) -> dict[tuple, str]:
    """Finds the modules that rules are about.

    Args:
        model: Any model.
        rules: By pattern of a path.

    Returns:
        The pattern of each module, by its path, outer ones first.

    Raises:
        ValueError: If a pattern matches nothing, two match the same module, or a module
            or its name stands in several places.
    """
    paths = {tuple(path): path_name(path) for path, _ in nnx.iter_modules(model)}
    names = collections.Counter(paths.values())
    places: dict[tuple, str] = {}
    for pattern in rules:
        found = [path for path in paths if _matches(path, pattern)]
        if not found:
            raise ValueError(
                f"sparsify: no module matches {pattern!r}; there are "
                f"{', '.join(sorted(filter(None, names)))}."
            )
        for path in found:
            if path in places:
                raise ValueError(
                    f"sparsify: {paths[path]} matches {places[path]!r} and {pattern!r}."
                )
            if names[paths[path]] > 1:
                raise ValueError(
                    f"sparsify: {names[paths[path]]} modules are called {paths[path]}; "
                    f"bills tell modules apart by their names."
                )
            places[path] = pattern
            _check_unshared(model, path)
    return {path: places[path] for path in sorted(places, key=len)}


def _check_unshared(model: nnx.Module, path: tuple):
    """Raises a ValueError if one gate would have to decide in several places."""
    modules = (module for _, module in nnx.iter_modules(model))
    children = [child for part in modules for _, child in nnx.iter_children(part)]
    for depth in range(1, len(path) + 1):
        host = part_at(model, path[:depth])
        uses = sum(child is host for child in children)
        if uses > 1:
            raise ValueError(
                f"sparsify: {path_name(path[:depth])} is the same module in {uses} "
                "places, but a gated module stands in one place: copy it with "
                "nnx.clone first."
            )


def _matches(path: tuple, pattern: str) -> bool:
    names = list(map(str, path))
    wanted = pattern.split("/") if pattern else []
    return len(names) == len(wanted) and all(map(fnmatch.fnmatchcase, names, wanted))
