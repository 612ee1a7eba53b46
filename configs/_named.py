"""Parts of a config by the name of their file."""

import difflib
import importlib
import pathlib

from ml_collections import ConfigDict

OWN = "own"  # the budget of a config that names none: what the method has of its own


def named(kind: str, name: str) -> ConfigDict:
    """Returns what configs/<kind>s/<name>.py holds.

    Raises:
        ValueError: If there is no such file.
    """
    folder = pathlib.Path(__file__).parent / f"{kind}s"
    names = sorted(path.stem for path in folder.glob("[!_]*.py"))
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(
            f"unknown {kind} {name!r}; accepted: {', '.join(names)}{meant}"
        )
    return importlib.import_module(f"configs.{kind}s.{name}").get_config()


def choices(argument: str) -> ConfigDict:
    """Reads "METHOD", "METHOD,MODEL" or "METHOD,MODEL,BUDGET".

    Returns:
        What these add to a task: the sections of the model, conv_vit where none is
        named, those of the method, or of the budget where that has them too, and
        `names`, the words themselves.

    Raises:
        ValueError: If there is no such method, model or budget.
    """
    method, model, budget, *rest = [*argument.split(","), "", ""]
    if any(rest):
        raise ValueError(f"expected METHOD,MODEL,BUDGET, got {argument!r}.")
    config = named("method", method)
    model = model or "conv_vit"
    config.update(named("model", model))
    words = dict(method=method, model=model, budget=budget or OWN)
    config.names = ConfigDict(words)
    if budget:
        for section, values in named("budget", budget).items():
            config[section] = values
    return config
