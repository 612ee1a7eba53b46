"""Strict numerics, shape checks, and what many tests share."""

import ctypes
import gc
import importlib.metadata
import os
import pathlib

os.environ["JAX_PLATFORMS"] = "cpu"  # before jax starts
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # workers and later runs share it
    cache = pathlib.Path(__file__).parents[1] / ".pytest_cache"
    cache /= f"jaxlib-{importlib.metadata.version('jaxlib')}"
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import jax
import jaxtyping
import psutil
import pytest

# Most programs here run once: what counts is how long they take to compile. LLVM takes
# a small program whole in half the time that its many parts would take, and up to
# jaxlib 0.11 kernels can do without the emitters that set up MLIR anew for each.
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_disable_most_optimizations", True)
users_flags = os.environ.get("XLA_FLAGS")
flags = [users_flags or "", "--xla_cpu_parallel_codegen_split_count=1"]
if jax.version.__version_info__ < (0, 12):
    flags.append("--xla_cpu_use_fusion_emitters=false")
os.environ["XLA_FLAGS"] = " ".join(flags)
jax.devices()  # reads the flags; processes that tests start compile as users do
if users_flags is None:
    os.environ.pop("XLA_FLAGS", None)
else:
    os.environ["XLA_FLAGS"] = users_flags
jax.config.update("jax_numpy_rank_promotion", "raise")

jaxtyping.install_import_hook("dynsparse", "beartype.beartype")
# Tracing makes many objects, and few of them cycles.
gc.set_threshold(50_000, 50, 1_000)

ENOUGH_MEMORY = 2e9  # bytes that a worker keeps of the files it has tested


@pytest.fixture(autouse=True, scope="session")
def few_capacities():
    """None, half and all of the units: what compact execution compiles, and no more."""
    from dynsparse import layers
    from dynsparse.layers.units.parts import GatedParts

    with pytest.MonkeyPatch.context() as patch:
        adding = layers.GatedUnits, GatedParts
        for kind in (layers.GatedLayer, layers.GatedPositions, *adding):
            patch.setattr(kind, "capacity_steps", 2)
        yield


def pytest_collection_modifyitems(items):
    """Puts the tests of one row together: one worker compiles what they share."""

    def row(item):
        params = item.callspec.params if hasattr(item, "callspec") else {}
        return str(item.path), str(params.get("row", params.get("name", "")))

    items.sort(key=row)


def pytest_collection_finish():
    """Leaves what was imported out of every collection of garbage."""
    gc.collect()
    gc.freeze()


def pytest_runtest_teardown(item, nextitem):
    """Forgets the compiled programs of a file where they have become too many."""
    leaves = nextitem is None or nextitem.path != item.path
    if leaves and psutil.Process().memory_info().rss > ENOUGH_MEMORY:
        jax.clear_caches()
        gc.collect()
        # glibc keeps what is freed to itself until it is told to return it.
        getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)(0)


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture
def as_users_call():
    """Calls without the type checks that tests add."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
