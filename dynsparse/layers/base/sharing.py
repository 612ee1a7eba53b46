"""Decisions between layers: the same in all, or never more than in the one before."""

import weakref
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Shaped

from dynsparse.gates import GateOutput


class Shared(nnx.Module):
    """Where a layer leaves its decision for another, within one call of the model.

    It holds no array, so that a model keeps its structure: both layers refer to it, and
    the decision is kept beside it for as long as the copy of the model that made it.

    Example:
        >>> from dynsparse.layers.base.sharing import Shared
        >>> shared = Shared()
        >>> shared.give(gates.GateOutput(jnp.ones((2, 1)), jnp.ones((2, 1))))
        >>> shared.take().mask.shape
        (2, 1)
    """

    def give(self, decision: GateOutput):
        """Leaves a decision for who takes it."""
        _GIVEN[self] = decision

    def take(self) -> GateOutput | None:
        """Returns the last decision, or None before the first."""
        return _GIVEN.get(self)


_GIVEN: weakref.WeakKeyDictionary[Shared, GateOutput] = weakref.WeakKeyDictionary()


class OneForAll(nnx.Module):
    """The first layer decides, and the others do as it did.

    Args:
        shared: The same for all of them.
        first: Whether the layer is the first one.
    """

    def __init__(self, shared: Shared, *, first: bool):
        self.shared = shared
        self.first = first

    def decide(self, layer: Any, features: Shaped[Array, "batch *axes"]) -> GateOutput:
        """Returns the decision of a layer.

        Args:
            layer: A gated layer.
            features: What its scorer would read.

        Raises:
            ValueError: If the first layer was not called before.
        """
        if self.first:
            decision = layer.decide_alone(features)
            self.shared.give(decision)
            return decision
        if layer.forced_count is not None:  # whatever the decision is
            zeros = jnp.zeros(layer.decision_shape(features))
            return GateOutput(zeros, zeros)
        decision = self.shared.take()
        if decision is None:
            raise ValueError(
                f"{type(layer).__name__} (unit: {layer.unit}) shares the decision of "
                f"the first layer of its rule, which was not called before it."
            )
        return decision


class Falling(nnx.Module):
    """What a layer closes stays closed in the layers after it.

    Args:
        before: Shared with the layer before; None for the first one.
        after: Shared with the layer that follows.
    """

    def __init__(self, before: Shared | None, after: Shared):
        self.before = before
        self.after = after

    def decide(self, layer: Any, features: Shaped[Array, "batch *axes"]) -> GateOutput:
        """Returns the decision of a layer, closed where one before it was.

        Args:
            layer: A gated layer.
            features: What its scorer reads.
        """
        decision = layer.decide_alone(features)
        alive = None if self.before is None else self.before.take()
        if alive is not None and layer.forced_count is None:
            decision = GateOutput(*(x * alive.mask for x in decision))
        self.after.give(decision)
        return decision


def tie(layers: list[Any], shares: Any):
    """Ties layers of one rule together, if it says so.

    Args:
        layers: Gated layers, in the order of their calls; changed in place.
        shares: Whether the first one decides for all. Early exits fall in any case.

    Raises:
        ValueError: If layers that fall or differ in their units would share.
    """
    falls = layers[0].falls
    if shares not in (True, False) or (shares and layers[0].score_axis == "answer"):
        raise ValueError(
            f"share must be true or false, and false for exits, got {shares!r}."
        )
    sizes = sorted({layer.num_units for layer in layers})
    if shares and len(sizes) > 1:
        raise ValueError(
            f"layers of {sizes} units cannot share a decision; give them rules apart."
        )
    shared, before = Shared(), None
    for layer in layers:
        if shares:
            layer.sharing = OneForAll(shared, first=layer is layers[0])
            layer.gate, layer.scorer = layers[0].gate, layers[0].scorer
            layer.shift = layers[0].shift
        elif falls:
            after = Shared()
            layer.sharing = Falling(before, after)
            before = after
