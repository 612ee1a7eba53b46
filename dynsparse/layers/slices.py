"""Slices of linear maps and convolutions: some inputs to some outputs."""

from typing import Any, TypeVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Shaped

Map = TypeVar("Map", nnx.Linear, nnx.Conv)

ALL = slice(None)


Some = slice | Int[Array, "n"]


def check_plain(module: Any, kind: type[nnx.Module]):
    """Raises a ValueError unless a module computes as `kind` of Flax does.

    Slices take its kernel apart, so a subclass with a call of its own (adapters, normed
    or quantised weights) would be another map between some of its features.

    Args:
        module: Whose class may be a subclass that leaves the call alone.
        kind: `nnx.Linear`, `nnx.Conv` or another layer of Flax.
    """
    own: Any = type(module)
    if not isinstance(module, kind) or own.__call__ is not kind.__call__:
        raise ValueError(
            f"a plain nnx.{kind.__name__} can be gated in parts, got {own.__name__}"
            + (", with a call of its own." if isinstance(module, kind) else ".")
        )
    if getattr(module, "mask", None) is not None:
        raise ValueError(
            f"an nnx.{kind.__name__} without a mask on its kernel can be gated in "
            f"parts, got one with a mask."
        )


def sliced(module: Map, inputs: Some = ALL, outputs: Some = ALL) -> Map:
    """The same module between some of its features; nothing is shared with it.

    Args:
        module: Whose kernel is [*window, inputs, outputs].
        inputs: Features to read. Unless all are, the bias is left out: it belongs to
            the sum over all inputs.
        outputs: Features to write.

    Raises:
        ValueError: If `module` is of a subclass that brings a call of its own.
    """
    check_plain(module, nnx.Conv if isinstance(module, nnx.Conv) else nnx.Linear)
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
