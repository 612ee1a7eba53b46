"""Gating methods: what each adds to a task. One per file."""

import importlib
import pathlib

from ml_collections import ConfigDict


def method(name: str) -> ConfigDict:
    """Returns what the method `name` adds to a task.

    Raises:
        ValueError: If there is no such method.
    """
    names = sorted(path.stem for path in pathlib.Path(__file__).parent.glob("[!_]*.py"))
    if name not in names:
        raise ValueError(f"unknown gate {name!r}; accepted: {', '.join(names)}")
    return importlib.import_module(f"{__name__}.{name}").get_config()
