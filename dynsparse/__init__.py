"""dynsparse: networks that decide, for each input, which of their parts to run.

`sparsify` gates a Flax model, `bill` says what it costs, `evaluating` chooses how it is
executed and at what density. A name is imported when it is first used.
"""

import importlib
import pathlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from dynsparse._internal.extras import not_installed

if TYPE_CHECKING:
    from dynsparse import budgets as budgets
    from dynsparse import costs as costs
    from dynsparse import data as data
    from dynsparse import gates as gates
    from dynsparse import launching as launching
    from dynsparse import layers as layers
    from dynsparse import models as models
    from dynsparse import ops as ops
    from dynsparse import reports as reports
    from dynsparse import serving as serving
    from dynsparse import tasks as tasks
    from dynsparse import testing as testing
    from dynsparse import training as training
    from dynsparse._internal.call import Call as Call
    from dynsparse._internal.call import call as call
    from dynsparse.costs import Bill as Bill
    from dynsparse.costs import bill as bill
    from dynsparse.gates import Gate as Gate
    from dynsparse.gates import GateOutput as GateOutput
    from dynsparse.gates import GateRecord as GateRecord
    from dynsparse.gates import evaluating as evaluating
    from dynsparse.gates import records as records
    from dynsparse.layers import causal_twins as causal_twins
    from dynsparse.layers import explain as explain
    from dynsparse.layers import sparsify as sparsify
    from dynsparse.models.decoder import generate as generate
    from dynsparse.serving import Ladder as Ladder
    from dynsparse.serving import Runtime as Runtime
    from dynsparse.serving import Server as Server
    from dynsparse.training import restore as restore

try:
    __version__ = version("dynsparse")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0.1.0"

_here = pathlib.Path(__file__).parent
if not (_here / "configs").is_dir():  # a checkout has configs/ beside this package
    __path__.append(str(_here.parent))

_NAMES = {
    "_internal.call": ("Call", "call"),
    "costs": ("Bill", "bill"),
    "gates": ("Gate", "GateOutput", "GateRecord", "evaluating", "records"),
    "layers": ("causal_twins", "explain", "sparsify"),
    "models.decoder": ("generate",),
    "serving": ("Ladder", "Runtime", "Server"),
    "training": ("restore",),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}
_PACKAGES = ("budgets", "configs", "costs", "data", "experiments", "gates", "launching")
_PACKAGES += ("layers", "models", "ops", "reports", "serving", "tasks")
_PACKAGES += ("testing", "training")

__all__ = [*_MODULE_OF, *_PACKAGES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{_MODULE_OF.get(name, name)}")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(not_installed(error), name=error.name) from error
    return getattr(module, name) if name in _MODULE_OF else module


def __dir__():
    return [*__all__, "__version__"]
