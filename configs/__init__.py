"""What to run: a file per task; methods, models and budgets as tables of rows."""

import difflib
import pathlib
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from .budgets import BUDGETS
from .methods import METHODS
from .models import MODELS

TABLES: Mapping[str, Mapping[str, Any]] = dict(
    method=METHODS, model=MODELS, budget=BUDGETS
)
OWN = "own"  # the budget of a config that names none: that of its method


def choices(argument: str) -> ConfigDict:
    """Reads "METHOD", "METHOD,MODEL" or "METHOD,MODEL,BUDGET".

    Returns:
        What these add to a task: the sections of the model, conv_vit where none is
        named, of the method and of the budget, the method's own where none is named;
        and `names`, the words themselves.

    Raises:
        ValueError: If there is no such method, model or budget.
    """
    method, model, budget, *rest = [*argument.split(","), "", ""]
    if any(rest):
        raise ValueError(f"expected METHOD,MODEL,BUDGET, got {argument!r}.")
    model = model or "conv_vit"
    row = _find("method", method)
    config = row.get_config()
    config.update(_find("model", model).get_config())
    config.names = ConfigDict(dict(method=method, model=model, budget=budget or OWN))
    config.budget = _find("budget", budget or row.budget).get_config()
    return config


def with_model(argument: str, model: str) -> str:
    """Returns an argument that names a model where it had named none."""
    method, named, *rest = [*argument.split(","), ""]
    return ",".join([method, named or model, *filter(None, rest)])


def tasks() -> list[str]:
    """Names of the task files in this folder."""
    files = pathlib.Path(__file__).parent.glob("[!_]*.py")
    return sorted({path.stem for path in files} - {f"{kind}s" for kind in TABLES})


def _find(kind: str, name: str) -> Any:
    table = TABLES[kind]
    if name not in table:
        close = difflib.get_close_matches(name, table, n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        accepted = ", ".join(sorted(table))
        raise ValueError(f"unknown {kind} {name!r}; accepted: {accepted}{meant}")
    return table[name]
