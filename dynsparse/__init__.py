"""dynsparse: networks that decide, for each input, which of their parts to run."""

import importlib
import pathlib
from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("dynsparse")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0.1.0"

_here = pathlib.Path(__file__).parent
if not (_here / "configs").is_dir():  # a checkout has configs/ beside this package
    __path__.append(str(_here.parent))

_SUBPACKAGES = (
    "bench",
    "budgets",
    "configs",
    "costs",
    "data",
    "experiments",
    "gates",
    "launching",
    "layers",
    "models",
    "ops",
    "reports",
    "serving",
    "training",
)


def __getattr__(name: str):
    if name == "sparsify":
        return importlib.import_module(f"{__name__}.layers").sparsify
    if name in _SUBPACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*globals(), *_SUBPACKAGES, "sparsify"]
