"""Experiments and configs from their files, as modules that any process finds."""

import importlib
import pathlib
import sys
import types

from dynsparse.launching.errors import UserError

ROOT = pathlib.Path(__file__).parents[3]  # of the checkout


def load(path: str) -> types.ModuleType:
    """Imports a Python file by the name that it has in the checkout.

    A file outside the checkout is imported by its stem, its folder first on the path.

    Args:
        path: Relative to the current folder, or to the checkout.

    Raises:
        UserError: If there is no such file, its stem is the name of another module, or
            importing it raises.
    """
    places = [(place / path).resolve() for place in (pathlib.Path(), ROOT)]
    found = [file for file in places if file.suffix == ".py" and file.is_file()]
    if not found:
        raise UserError(f"no such Python file: {path!r}")
    file, name = found[0], found[0].stem
    if file.is_relative_to(ROOT):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    elif str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    try:
        module = importlib.import_module(name)
    except Exception as error:  # a file is code: anything may come out of it
        raise UserError(f"{path}: {type(error).__name__}: {error}") from error
    if module.__file__ is None or pathlib.Path(module.__file__).resolve() != file:
        raise UserError(f"{path}: another module is called {name!r}; rename the file.")
    return module


def shown(module: types.ModuleType) -> str:
    """The path of a loaded file: relative to the checkout if it lies there."""
    file = pathlib.Path(str(module.__file__)).resolve()
    return str(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file)
