"""Random weights and example inputs for a proof: what starts at zero shows by them."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any, TypeVar

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from flax import nnx

Tree = TypeVar("Tree")


@contextlib.contextmanager
def usual_settings() -> Iterator[None]:
    """Context in which global settings of JAX do not decide what is accepted."""
    with (
        jax.ensure_compile_time_eval(),
        jax.default_matmul_precision("highest"),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        jax.debug_nans(False),
        jax.transfer_guard("allow"),
    ):
        yield


def moved(model: Tree) -> Tree:
    """Copies a model, with weights that moved a little.

    What starts at zero, such as adapters, shows by that.

    Args:
        model: Arrays that are traced or abstract count by their shape.
    """
    graphdef, state = nnx.split(model)
    random = np.random.default_rng(0)
    return nnx.merge(graphdef, jax.tree.map(lambda x: _moved(x, random), state))


def drawn(example: Tree) -> Tree:
    """Fills shapes with random features, or zeros where they are no floats.

    Args:
        example: Any pytree of arrays; those that are known stay.
    """
    random = np.random.default_rng(1)

    def draw(x: Any) -> Any:
        if not isinstance(x, jax.ShapeDtypeStruct | jax.core.Tracer):
            return x
        if not jnp.issubdtype(x.dtype, jnp.floating):
            return jnp.zeros(x.shape, x.dtype)
        return jnp.asarray(random.normal(size=x.shape), x.dtype)

    return jax.tree.map(draw, example)


def _moved(x: Any, random: np.random.Generator) -> Any:
    """An array close to `x`, positive where `x` is; any where `x` is not known."""
    known = not isinstance(x, jax.core.Tracer | jax.ShapeDtypeStruct)
    if not hasattr(x, "dtype") or not jnp.issubdtype(x.dtype, jnp.floating):
        return x if known else jnp.zeros(x.shape, x.dtype)
    scale = 1 / math.sqrt(max(x.size // x.shape[-1] if x.ndim > 1 else 1, 1))
    draw = lambda: np.resize(random.uniform(size=min(x.size, 65_521)), x.shape)
    if not known:
        return jnp.asarray((0.5 + draw()) * scale, x.dtype)
    added = draw() if x.ndim < 2 else 2 * draw() - 1
    value = np.asarray(jax.device_get(x)).astype(np.float64)
    value = value * (1 + 0.2 * draw()) + 0.2 * scale * added
    return jnp.asarray(value, x.dtype)
