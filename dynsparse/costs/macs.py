"""Multiply-accumulates of any JAX function, counted in its jaxpr."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.extend.core import jaxprs_in_params
from jax.interpreters.partial_eval import dce_jaxpr

from dynsparse._internal.call import call


def count_macs(
    function: Callable[..., Any],
    /,
    *args: Any,
    while_bound: int | None = None,
    padding: bool = True,
    **kwargs: Any,
) -> int:
    """Counts the multiply-accumulates of one call of `function`; 1 MAC = 2 FLOPs.

    Traces the function without running it and adds up its matrix products and
    convolutions, through nested `jit`, `scan` (body times length), `cond` and `switch`
    (the most expensive branch: a bound), `while` (body times `while_bound`),
    `pallas_call` (body times the grid) and `shard_map` (body times the devices). Dead
    code counts nothing, as XLA would not run it; neither do elementwise operations,
    reductions, sorts and gathers.

    Args:
        function: Any traceable function, or an nnx.Module.
        *args: Its arguments: arrays, `jax.ShapeDtypeStruct`s or pytrees of them; all
            else, such as a flag, is static. Or one `dynsparse.call`.
        while_bound: Iterations to assume for each `while` loop that multiplies.
        padding: Whether convolution taps on padding count: True as in published tables,
            False as XLA counts.
        **kwargs: Its keyword arguments.

    Returns:
        The exact count, for the shapes of `args`.

    Raises:
        ValueError: If a `while` loop multiplies and there is no `while_bound`.

    >>> costs.count_macs(jnp.dot, jnp.ones((2, 3)), jnp.ones((3, 4)))
    24
    >>> linear = nnx.Linear(8, 5, rngs=nnx.Rngs(0))
    >>> costs.count_macs(linear, jax.ShapeDtypeStruct((1, 8), "float32"))
    40
    >>> costs.count_macs(jnp.einsum, "nd,md->nm", jnp.ones((2, 3)), jnp.ones((4, 3)))
    24
    """
    state, merge = (), lambda state: function
    if isinstance(function, nnx.Module):
        graphdef, state = nnx.split(function)
        merge = lambda state: nnx.merge(graphdef, state)
    run = lambda state, asked: asked(merge(state))
    jaxpr = live(jax.make_jaxpr(run)(state, call(*args, **kwargs)).jaxpr)
    return count_jaxpr(jaxpr, while_bound=while_bound, padding=padding).total()


def live(jaxpr: Any) -> Any:
    """Returns a jaxpr without its dead code."""
    return dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))[0]


def count_jaxpr(
    jaxpr: Any, *, while_bound: int | None = None, padding: bool = True
) -> Counter[str]:
    """Counts the MACs of a jaxpr by `jax.named_scope`, dead code included.

    Args:
        jaxpr: From `jax.make_jaxpr`.
        while_bound: As in `count_macs`.
        padding: As in `count_macs`.
    """
    return _count(jaxpr, "", while_bound, padding)


def _count(jaxpr, scope: str, while_bound: int | None, padding: bool) -> Counter[str]:
    macs: Counter[str] = Counter()
    for equation in jaxpr.eqns:
        inner = "/".join(filter(None, (scope, str(equation.source_info.name_stack))))
        name = equation.primitive.name
        if name in _FORMULAS:
            macs[inner] += _FORMULAS[name](equation, padding)
            continue
        parts = [
            _count(body, inner, while_bound, padding)
            for body in jaxprs_in_params(equation.params)
        ]
        if not any(part.total() for part in parts):
            continue
        if name == "cond":
            macs += max(parts, key=Counter.total)
            continue
        repeats = _repeats(name, equation.params, while_bound)
        for part in parts:
            macs += Counter({key: repeats * count for key, count in part.items()})
    return macs


def _repeats(name: str, params: Mapping[str, Any], while_bound: int | None) -> int:
    """Returns how often an equation runs its body."""
    match name:
        case "scan":
            return params["length"]
        case "pallas_call":
            return math.prod(params["grid_mapping"].grid)
        case "shard_map":
            shape = params["mesh"].shape
            return math.prod(shape[axis] for axis in params["newly_manual_axes"])
        case "while":
            if while_bound is None:
                raise ValueError(
                    "a while loop multiplies; pass while_bound, the number of "
                    "iterations to count."
                )
            return while_bound
    return 1


def _dot_general(equation, padding: bool) -> int:
    left, _ = (v.aval.shape for v in equation.invars)
    (contracting, _), _ = equation.params["dimension_numbers"]
    depth = math.prod(left[axis] for axis in contracting)
    return math.prod(equation.outvars[0].aval.shape) * depth


def _convolution(equation, padding: bool) -> int:
    numbers = equation.params["dimension_numbers"]
    image, kernel = (v.aval.shape for v in equation.invars)
    output = equation.outvars[0].aval.shape
    out_axis, in_axis, *kernel_axes = numbers.rhs_spec
    taps = [
        _taps(image[i], kernel[k], output[o], *window, padding=padding)
        for i, k, o, *window in zip(
            numbers.lhs_spec[2:],
            kernel_axes,
            numbers.out_spec[2:],
            equation.params["window_strides"],
            equation.params["padding"],
            equation.params["lhs_dilation"],
            equation.params["rhs_dilation"],
            strict=True,
        )
    ]
    batch = output[numbers.out_spec[0]]
    return batch * kernel[out_axis] * kernel[in_axis] * math.prod(taps)


def _taps(
    size: int,
    taps: int,
    outputs: int,
    stride,
    pad,
    lhs_dilation,
    rhs_dilation,
    *,
    padding,
) -> int:
    """Returns how many pairs of position and kernel tap multiply along one axis.

    A transposed convolution spreads each input position over all taps, whatever the
    borders cut off. It is told by dilated inputs or, with stride 1, by padding so wide
    that every tap meets every input position.
    """
    reach = (taps - 1) * rhs_dilation
    transposed = lhs_dilation > 1 or (reach > 0 and min(pad) >= reach and stride == 1)
    if padding:
        return (size if transposed else outputs) * taps
    output, tap = np.ogrid[:outputs, :taps]
    position = output * stride + tap * rhs_dilation - pad[0]
    on_value = position % lhs_dilation == 0
    inside = (position >= 0) & (position <= (size - 1) * lhs_dilation)
    return int((on_value & inside).sum())


def _ragged_dot(equation, padding: bool) -> int:
    left, right = (v.aval.shape for v in equation.invars[:2])
    return left[0] * left[1] * right[-1]


_FORMULAS = {
    "dot_general": _dot_general,
    "conv_general_dilated": _convolution,
    "ragged_dot_general": _ragged_dot,
}
