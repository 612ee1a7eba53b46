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


def choices(argument: str) -> ConfigDict:
    """Reads "METHOD", "METHOD,MODEL" or "METHOD,MODEL,BUDGET".

    Returns:
        What these add to a task: the section `model`, that of conv_vit where none is
        named, and those of the method, or of the budget where that has them too.

    Raises:
        ValueError: If there is no such method, model or budget.
    """
    method, model, budget, *rest = [*argument.split(","), "", ""]
    if any(rest):
        raise ValueError(f"expected METHOD,MODEL,BUDGET, got {argument!r}.")
    config = named("method", method)
    config.model = named("model", model or "conv_vit")
    if budget:
        for section, values in named("budget", budget).items():
            config[section] = values
    return config
