"""Slices of linear maps and convolutions: some inputs to some outputs."""

from typing import TypeVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Shaped

Map = TypeVar("Map", nnx.Linear, nnx.Conv)

ALL = slice(None)


Some = slice | Int[Array, "n"]


def sliced(module: Map, inputs: Some = ALL, outputs: Some = ALL) -> Map:
    """The same module between some of its features; nothing is shared with it.

    Args:
        module: Whose kernel is [*window, inputs, outputs].
        inputs: Features to read. Unless all are, the bias is left out: it belongs to
            the sum over all inputs.
        outputs: Features to write.
    """
    part = nnx.clone(module)
    part.kernel = nnx.Param(module.kernel[..., inputs, outputs])
    if module.bias is not None:
        part.use_bias = inputs is ALL
        part.bias = nnx.Param(module.bias[outputs]) if part.use_bias else None
    return part


def sliced_norm(norm: nnx.BatchNorm, features: Some) -> nnx.BatchNorm:
    """The same norm of some of its features, by their running averages."""
    part = nnx.clone(norm)
    for name in ("mean", "var", "scale", "bias"):
        own = getattr(norm, name)
        if own is not None:
            setattr(part, name, type(own)(own[features]))
    return part


def bias_rows(
    module: nnx.Linear, x: Shaped[Array, "*rows width"]
) -> Float[Array, "*rows features"]:
    """What a linear map gives for zeros: its bias for every row of `x`."""
    shape = (*x.shape[:-1], module.out_features)
    dtype = module.dtype or jnp.promote_types(x.dtype, module.kernel.dtype)
    if module.bias is None:
        return jnp.zeros(shape, dtype)
    return jnp.broadcast_to(module.bias[...].astype(dtype), shape)
