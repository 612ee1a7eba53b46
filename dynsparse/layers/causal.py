"""Turns a model whose tokens compete into one that decides token by token."""

import functools
import itertools
from collections.abc import Iterable
from typing import Any, TypeVar

import jax
from flax import nnx
from jaxtyping import PyTree

from dynsparse._internal.call import Call, call
from dynsparse._internal.structure import Structure
from dynsparse.gates import TopkGate, evaluating, num_stacked
from dynsparse.gates.ema_threshold import EmaThreshold
from dynsparse.layers.base.gated_layer import GatedLayer
from dynsparse.layers.rules.scanned import repeated

Model = TypeVar("Model", bound=nnx.Module)


def causal_twins(
    model: Model,
    batches: Iterable[PyTree],
    *,
    density: float | None = None,
    decay: float = 0.99,
) -> Model:
    """Replaces top-k gates over tokens by thresholds that open as many on average.

    A twin (`EmaThreshold`) reads no token but its own, so the model can answer token by
    token; other gates stay. A threshold is the moving average of the score that
    `density` of the units of a batch exceed.

    Args:
        model: Trained; changed in place.
        batches: Inputs like those to come, such as the validation split: arrays, or
            a `dynsparse.call` each where the model takes more than one.
        density: Density of the twins, in (0, 1); that of each gate if None.
        decay: Decay of the moving average per batch, in [0, 1).

    Returns:
        `model`.

    Raises:
        ValueError: If no top-k gate of the model is over tokens, a density is not
            between 0 and 1, or there are no batches.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> block = layers.TransformerBlock(
        ...     width=4, num_heads=2, mlp_width=8, causal=True, rngs=rngs
        ... )
        >>> model = layers.gated(
        ...     block,
        ...     granularity="bypass",
        ...     gate=dict(name="hard_topk", density=0.5),
        ...     scorer=dict(name="linear"),
        ...     width=4,
        ...     num_tokens=6,
        ...     rngs=rngs,
        ... )
        >>> batch = jax.random.normal(jax.random.key(0), (2, 6, 4))
        >>> type(layers.causal_twins(model, [batch]).gate).__name__
        'EmaThreshold'
    """
    found: dict[tuple, Any] = {
        tuple(path): layer
        for path, layer in nnx.iter_modules(model)
        if isinstance(layer, GatedLayer)
        and layer.score_axis == "units"
        and isinstance(layer.gate, TopkGate)
    }
    if not found:
        raise ValueError("causal_twins: the model has no top-k gate over tokens.")
    batches = iter(batches)
    first = next(batches, None)
    if first is None:
        raise ValueError("causal_twins: needs at least one batch, got none.")
    for layer in found.values():
        count = num_stacked(layer)
        twin = EmaThreshold(
            density=layer.gate.current_density if density is None else density,
            temperature=1.0,
            decay=decay,
            rngs=nnx.Rngs(0),
        )
        layer.gate = twin if count is None else repeated(twin, count)
    view: Any = evaluating(model)
    for path, layer in nnx.iter_modules(view):
        if tuple(path) in found and isinstance(layer, GatedLayer):
            layer.gate.set_view(deterministic=False)  # in training it is a top-k gate
    structure, state = Structure.split(view)
    for batch in itertools.chain([first], batches):
        state = _observe(structure, state, call(batch))
    nnx.update(view, state)  # the Variables of the view are the model's own
    return model


@functools.partial(jax.jit, static_argnums=0)
def _observe(structure: Structure, state, asked: Call):
    """The state of a model after one more batch."""
    model = structure.merge(state)
    asked(model)
    return nnx.state(model)
