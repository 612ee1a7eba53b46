"""Training runs as users run it, compiled with every optimization."""

import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def optimize():
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)
