"""Slices of linear maps and convolutions: some inputs to some outputs."""

from typing import Any, TypeVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Shaped

Map = TypeVar("Map", nnx.Linear, nnx.Conv)

Some = slice | Int[Array, "n"]
ALL = slice(None)


def slice_size(total: int, what: str, **num_slices: int) -> int:
    """Computes the size of each of some equal slices.

    Args:
        total: What is cut, such as 16 hidden units.
        what: What that is, in words.
        **num_slices: One number of slices, under the name that users know it by.

    Raises:
        ValueError: If the number does not divide `total`.
    """
    ((name, number),) = num_slices.items()
    if number < 1 or total % number:
        raise ValueError(f"{name}={number} must divide the {total} {what}.")
    return total // number


def check_plain(module: Any, kind: type[nnx.Module]):
    """Refuses a module that does not compute as `kind` of Flax does.

    Slices take the kernel apart, so a subclass with a call of its own (adapters, normed
    or quantised weights) would be another map between some of its features.

    Args:
        module: Of `kind`, or of a subclass that leaves the call alone.
        kind: `nnx.Linear`, `nnx.Conv` or another layer of Flax.

    Raises:
        ValueError: If the module is of another class, or has a mask on its kernel.
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
    """Copies a linear map or convolution between some of its features.

    Args:
        module: Its kernel is [*window, inputs, outputs].
        inputs: Features to read. Unless it is `ALL`, the bias is left out: it belongs
            to the sum over all inputs.
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
    """Copies a norm of some of its features, with their running averages."""
    part = nnx.clone(norm)
    for name in ("mean", "var", "scale", "bias"):
        own = getattr(norm, name)
        if own is not None:
            setattr(part, name, type(own)(own[features]))
    return part


def bias_rows(
    module: nnx.Linear, x: Shaped[Array, "*rows width"]
) -> Float[Array, "*rows features"]:
    """Computes the bias of a linear map for every row of `x`: its output for zeros."""
    shape = (*x.shape[:-1], module.out_features)
    dtype = module.dtype or jnp.promote_types(x.dtype, module.kernel.dtype)
    if module.bias is None:
        return jnp.zeros(shape, dtype)
    return jnp.broadcast_to(module.bias[...].astype(dtype), shape)
