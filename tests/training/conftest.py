"""What tests of whole trainings share."""

import jax
import pytest


@pytest.fixture(
    scope="module", params=[False, pytest.param(True, marks=pytest.mark.full)]
)
def optimized(request):
    """Programs compiled as all tests do, and as users do: bits, sums in other order."""
    jax.config.update("jax_disable_most_optimizations", not request.param)
    yield
    jax.config.update("jax_disable_most_optimizations", True)
