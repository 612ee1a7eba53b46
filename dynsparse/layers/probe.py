"""Copies of a plain module with moved weights, and random inputs that it takes."""

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dynsparse.gates import evaluating
from dynsparse.layers.base import GatedLayer
from dynsparse.layers.channels import GatedChannels
from dynsparse.layers.heads import GatedHeads
from dynsparse.layers.open_examples import OpenExamples
from dynsparse.layers.open_tokens import OpenTokens

_BATCH = 3
_MOST_TOKENS = 512  # of an example, where more are allowed
_LONGEST = 1024  # axis of a weight that may be the length of an example
_SIDES = (8, 16, 32, 64)  # of images; large ones for hosts that shrink them
_LOUD = 8.0  # tells apart what is alike for small values, such as clipped activations
_ERROR = 3e-5  # of an answer, in float32


class Copies:
    """Copies of a module whose weights are moved a little, all alike.

    Args:
        module: Does not change. Arrays that are traced or abstract count by shape.
    """

    def __init__(self, module: nnx.Module):
        self.graphdef, state = nnx.split(module)
        random = np.random.default_rng(0)
        self.state = jax.tree.map(lambda x: _moved(x, random), state)

    def new(self, state: Any = None, *, zero: bool = False, first: bool = False) -> Any:
        """Makes one more copy, with Variables of its own.

        Args:
            state: Weights of the copy, where they are traced; `self.state` if None.
            zero: Whether matrices and kernels are zeros.
            first: Whether to copy only the first of the layers that are `stacked`.
        """
        state = self.state if state is None else state
        if zero:
            wide = lambda x: _floating(x) and x.ndim > 1
            state = jax.tree.map(lambda x: jnp.zeros_like(x) if wide(x) else x, state)
        if first:
            long = lambda x: x.shape[:1] == (self.stacked,)
            state = jax.tree.map(lambda x: x[0] if long(x) else x, state)
        copy: Any = nnx.merge(self.graphdef, state, copy=True)
        if isinstance(copy, nnx.MultiHeadAttention) and copy.decode is None:
            copy.decode = False  # an attribute that models set later
        return copy

    @property
    def stacked(self) -> int | None:
        """Length of the axis that `nnx.vmap` adds in front of all weights, or None."""
        leaves = [x for x in jax.tree.leaves(self.state) if _floating(x)]
        lengths = {x.shape[0] if x.ndim else None for x in leaves}
        return lengths.pop() if len(lengths) == 1 else None

    @property
    def dtype(self) -> Any:
        """Type of most weights; float32 if there are none."""
        sizes: dict[Any, int] = {}
        for leaf in filter(_floating, jax.tree.leaves(self.state)):
            sizes[leaf.dtype] = sizes.get(leaf.dtype, 0) + leaf.size
        return max(sizes, key=lambda kind: sizes[kind]) if sizes else jnp.float32

    def tolerance(self, x: Any) -> float:
        """Largest relative gap of equal answers, in the coarsest type that occurs."""
        types = [leaf.dtype for leaf in jax.tree.leaves((self.state, x))]
        for _, module in nnx.iter_modules(self.new()):
            own = getattr(module, "dtype", None)
            types += [] if own is None else [jnp.dtype(own)]
        floats = [kind for kind in types if jnp.issubdtype(kind, jnp.floating)]
        coarse = [8 * float(jnp.finfo(kind).eps) for kind in floats]
        return max([_ERROR, *coarse])


def fitting_inputs(
    layer: GatedLayer, copies: Copies, width: int, shape: tuple[int, ...] | None
) -> Iterator[Any]:
    """Draws random inputs that the host of a layer maps to one fitting array.

    Yields one input for each number of axes; the first is the likeliest.

    Args:
        layer: The gated layer around a copy.
        copies: Copies of the plain module.
        width: Features of the input; for fields, the number of codes.
        shape: Shape of one example; None to try some.

    Raises:
        ValueError: If no input fits.
    """
    reasons, axes = [], set()
    shapes = list(_shapes(layer, copies, width)) if shape is None else [tuple(shape)]
    for own in shapes:
        x = _drawn(layer, (_BATCH, *own), width, copies.dtype)
        try:
            output = jax.eval_shape(lambda x: evaluating(copies.new())(x), x)
        except Exception as error:  # whatever a host makes of a shape not its own
            reasons.append(f"{type(error).__name__}: {error}")
            continue
        reason = _misfit(layer, x, output)
        if reason is not None:
            reasons.insert(0, reason)
        elif x.ndim not in axes:
            yield x
            axes.add(x.ndim)
    if axes:
        return
    if copies.stacked is not None:
        for own in shapes:
            x = _drawn(layer, (_BATCH, *own), width, copies.dtype)
            one = lambda x: evaluating(copies.new(first=True))(x)
            try:
                output = jax.eval_shape(one, x)
            except Exception:
                continue
            if _misfit(layer, x, output):
                continue
            raise ValueError(
                f"its weights are stacked, {copies.stacked} layers for one nnx.scan, "
                f"which cannot be gated; give each layer a module of its own."
            )
    name = type(copies.new()).__name__
    tried = ", ".join(str(own) for own in shapes[:3]) + ", ..." * (len(shapes) > 3)
    raise ValueError(
        f"{name} does not map random examples of shape {tried} as the layer needs it "
        f"({reasons[0]}); if that is not the shape of an example, give its `shape`."
    )


def _misfit(layer: GatedLayer, x: Any, output: Any) -> str | None:
    """Reason why the answer of a host does not fit its layer, or None."""
    if not hasattr(output, "shape"):
        return f"it gives a {type(output).__name__}, not one array"
    if output.shape[:1] != x.shape[:1]:
        return f"it gives {list(output.shape)}, which is not one part for each example"
    passes = isinstance(layer, OpenExamples | OpenTokens)
    if passes and jnp.issubdtype(x.dtype, jnp.floating) and output.shape != x.shape:
        return f"it gives {list(output.shape)}, which is not the shape of its input"
    return None


def _shapes(layer: Any, copies: Copies, width: int) -> Iterator[tuple]:
    """Shapes of examples, likely ones first."""
    if layer.score_axis == "fields":
        yield (layer.num_units,)
    elif isinstance(layer, OpenTokens):
        yield (min(layer.num_units, _MOST_TOKENS), width)
        yield (layer.num_units, width)
    elif isinstance(layer, GatedChannels):
        first = layer.host.first
        for side in _SIDES:
            yield (side,) * len(first.kernel_size) + (first.in_features,)
    elif isinstance(layer, OpenExamples):
        modules = [module for _, module in nnx.iter_modules(copies.new())]
        convs = [module for module in modules if isinstance(module, nnx.Conv)]
        for axes in {len(conv.kernel_size): None for conv in convs}:
            yield from ((side,) * axes + (width,) for side in _SIDES)
        shapes = [x.shape for x in jax.tree.leaves(copies.state) if _floating(x)]
        known = {n for shape in shapes for n in shape if 1 < n <= _LONGEST} - {width}
        for n in (6, *sorted(known)):
            yield (n, width)
        yield (width,)
        for n in (8, *sorted(n for n in known if n <= 64)):
            yield (n, n, width)
    else:
        yield from ((6, width), (width,), (4, 4, width))


def _drawn(layer: GatedLayer, shape: tuple, width: int, dtype: Any) -> Any:
    random = np.random.default_rng(1)
    if layer.score_axis == "fields":
        return jnp.asarray(random.integers(0, width, shape), jnp.int32)
    x = random.normal(size=shape)
    if not isinstance(layer, OpenExamples | OpenTokens | GatedHeads):
        x[1] *= _LOUD
    return jnp.asarray(x, dtype)


def _floating(x: Any) -> bool:
    return hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.floating)


def _moved(x: Any, random: np.random.Generator) -> Any:
    """An array close to `x`, positive where `x` is; any where `x` is not known."""
    if not _floating(x):
        return x
    scale = 1 / math.sqrt(max(x.size // x.shape[-1] if x.ndim > 1 else 1, 1))
    draw = lambda: np.resize(random.uniform(size=min(x.size, 65_521)), x.shape)
    if isinstance(x, jax.core.Tracer | jax.ShapeDtypeStruct):
        return jnp.asarray((0.5 + draw()) * scale, x.dtype)
    added = draw() if x.ndim < 2 else 2 * draw() - 1
    value = np.asarray(jax.device_get(x)).astype(np.float64)
    value = value * (1 + 0.2 * draw()) + 0.2 * scale * added
    return jnp.asarray(value, x.dtype)
