"""What tests of whole trainings share."""

import jax
import pytest


@pytest.fixture(scope="module")
def optimized():
    """Programs compiled as users compile them: bits, and sums in another order."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)
