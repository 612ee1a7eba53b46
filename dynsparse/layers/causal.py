"""From a model whose tokens compete to one that decides token by token."""

import functools
import itertools
from collections.abc import Iterable
from typing import Any, TypeVar

import jax
from flax import nnx
from jaxtyping import Array, Shaped

from dynsparse._internal.structure import Structure
from dynsparse.gates import TopkGate, evaluating
from dynsparse.gates.ema_threshold import EmaThreshold
from dynsparse.layers.base import GatedLayer

Model = TypeVar("Model", bound=nnx.Module)


def causal_twins(
    model: Model,
    batches: Iterable[Shaped[Array, "batch n *axes"]],
    *,
    density: float | None = None,
    decay: float = 0.99,
) -> Model:
    """Replaces top-k gates over tokens by thresholds that open as many on average.

    A twin needs no token but its own (`EmaThreshold`), so the model can answer token by
    token; other gates stay. The thresholds are those that the batches' top-k decisions
    amount to.

    Args:
        model: Trained; changed in place.
        batches: Inputs like those to come, such as the validation split.
        density: Of the twins, in (0, 1); that of each gate if None.
        decay: Of the moving average of the thresholds, per batch.

    Returns:
        `model`.

    Raises:
        ValueError: If no top-k gate of the model is over tokens, a density is not
            between 0 and 1, or there are no batches.
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
        layer.gate = EmaThreshold(
            density=layer.gate.current_density if density is None else density,
            temperature=1.0,
            decay=decay,
            rngs=nnx.Rngs(0),
        )
    view: Any = evaluating(model)
    for path, layer in nnx.iter_modules(view):
        if tuple(path) in found and isinstance(layer, GatedLayer):
            layer.gate.set_view(deterministic=False)  # in training it is a top-k gate
    structure, state = Structure.split(view)
    for batch in itertools.chain([first], batches):
        state = _observe(structure, state, batch)
    nnx.update(view, state)  # whose Variables are the model's own
    return model


@functools.partial(jax.jit, static_argnums=0)
def _observe(structure: Structure, state, batch):
    """The state of a model that has seen one more batch."""
    model = structure.merge(state)
    model(batch)
    return nnx.state(model)
