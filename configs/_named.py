"""Parts of a config by the name of their file."""

import importlib
import pathlib

from ml_collections import ConfigDict


def named(kind: str, name: str) -> ConfigDict:
    """Returns what configs/<kind>s/<name>.py holds.

    Raises:
        ValueError: If there is no such file.
    """
    folder = pathlib.Path(__file__).parent / f"{kind}s"
    names = sorted(path.stem for path in folder.glob("[!_]*.py"))
    if name not in names:
        raise ValueError(f"unknown {kind} {name!r}; accepted: {', '.join(names)}")
    return importlib.import_module(f"configs.{kind}s.{name}").get_config()


def choices(argument: str) -> tuple[ConfigDict, ConfigDict]:
    """Reads "METHOD" or "METHOD,MODEL".

    Returns:
        What the method adds to a task, and the model: conv_vit where none is named.

    Raises:
        ValueError: If there is no such method or model.
    """
    method, _, model = argument.partition(",")
    return named("method", method), named("model", model or "conv_vit")
