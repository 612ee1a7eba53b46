"""Configs and experiments by path, short name or module, in a checkout or a wheel."""

import importlib
import os
import pathlib
import re
import sys
import types

from dynsparse._internal.suggest import did_you_mean
from dynsparse.launching.arguments import UserError

_PACKAGE = pathlib.Path(__file__).parents[1]
_IN_CHECKOUT = (_PACKAGE.parent / "launch.py").is_file()
HOME = _PACKAGE.parent if _IN_CHECKOUT else _PACKAGE  # has configs/ and experiments/


def load_module(asked: str, folder: str) -> types.ModuleType:
    """Import a config or an experiment under a name by which any process finds it.

    A file of `HOME` is imported under its full name, any other by its stem, with its
    folder first on the path.

    Args:
        asked: Path from the current folder or from `HOME`, the name of a file of
            `folder` without its ending, or "package.module".
        folder: "configs" or "experiments".

    Raises:
        UserError: If there is no such file, its stem is the name of another module, or
            importing it raises.
    """
    file, name, place = None, asked, pathlib.Path.cwd()
    if asked.endswith(".py") or not re.fullmatch(r"\w+(\.\w+)+", asked):
        file = _find_file(asked, folder)
        name, place = file.stem, file.parent
    if file is not None and file.is_relative_to(HOME):
        place = _PACKAGE.parent
        name = ".".join(file.relative_to(place).with_suffix("").parts)
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))
    try:
        module = importlib.import_module(name)
    except Exception as error:  # a file is code: anything may come out of it
        raise UserError(f"{asked}: {type(error).__name__}: {error}") from error
    if file is not None and file != pathlib.Path(str(module.__file__)).resolve():
        raise UserError(f"{asked}: another module is called {name!r}; rename the file.")
    return module


def _find_file(asked: str, folder: str) -> pathlib.Path:
    for path in (pathlib.Path(asked), HOME / asked, HOME / folder / f"{asked}.py"):
        if path.suffix == ".py" and path.is_file():
            return path.resolve()
    names = sorted(path.stem for path in (HOME / folder).glob("[!_]*.py"))
    near = did_you_mean(pathlib.Path(asked).stem, names)
    raise UserError(f"no such Python file: {asked!r}{near}")


def spoken_name(module: types.ModuleType) -> str:
    """Name by which `load_module` finds a loaded module again, wherever it runs."""
    file = pathlib.Path(str(module.__file__)).resolve()
    if file.is_relative_to(HOME):
        return str(file.relative_to(HOME))
    return module.__name__ if "." in module.__name__ else str(file)


def search_path() -> dict[str, str]:
    """The environment in which Python finds the library, if it is not installed."""
    paths = [str(_PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths))} if _IN_CHECKOUT else {}
