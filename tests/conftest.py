"""Strict numerics, shape checks, and what many tests share."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"  # before jax starts

import jax
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")

install_import_hook("dynsparse", "beartype.beartype")


@pytest.fixture
def key():
    return jax.random.key(0)
