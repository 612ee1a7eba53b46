"""Causal top-k: trained to open k of n, deployed as a threshold on each score alone."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.decision import GateOutput, deterministic_output
from dynsparse.gates.base.gate import TemperatureGate
from dynsparse.gates.base.topk import TopkGate
from dynsparse.gates.base.variables import Scalar


class EmaThreshold(TemperatureGate):
    """Top-k gate in training that becomes a threshold on each score in evaluation.

    In training the round(density * n) highest scores open, as by `soft_topk` with the
    logistic family, and the gate keeps the moving average of the score that `density`
    of the units of a batch exceed. In evaluation a unit opens if its score exceeds that
    average: no other unit is needed, so the gate works token by token, and hard inputs
    may open more (Expert Threshold routing: Sun, Liu, Wu and Sun, 2026,
    arXiv:2603.11535, for experts). `calibrate` makes one from a trained top-k gate.

    Args:
        density: Fraction of units to open, in (0, 1): exactly in training, on average
            in evaluation.
        temperature: Width of the soft mask, > 0, in units of the scores.
        decay: Decay of the moving average per training step, in [0, 1); the first steps
            are averaged plainly.
        rngs: Unused: there is no noise.

    Raises:
        ValueError: If a value is out of range.
    """

    count = "varying"
    competes = True

    def __init__(
        self, *, density: float, temperature: float, decay: float, rngs: nnx.Rngs
    ):
        super().__init__(temperature=temperature, rngs=rngs)
        if not 0 < density < 1:
            raise ValueError(f"density must be in (0, 1), got {density}.")
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {decay}.")
        self.density = density
        self.decay = decay
        self.threshold = Threshold(jnp.float32(0))
        self.updates = Threshold(jnp.float32(0))

    @property
    def causal(self) -> bool:
        """True: evaluation compares each score with the threshold alone."""
        return True

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Opens k units of the last axis; in evaluation those above the threshold."""
        if self.deterministic:
            above = scores.astype(jnp.float32) > self.threshold[...]
            return deterministic_output(above.astype(scores.dtype))
        k = ops.traced_num_open(jnp.float32(self.density), ops.num_allowed(scores))
        soft = ops.soft_topk_mask(scores, k, self.temperature[...])
        self.observe(scores)
        mask = ops.straight_through(ops.hard_topk_mask(scores, k), soft)
        return GateOutput(mask, soft)

    def observe(self, scores: Float[Array, "*batch n"]):
        """Moves the threshold towards the score that `density` of `scores` exceed.

        Args:
            scores: Of a batch; `-inf` does not count, and where all are, the threshold
                stays.
        """
        frozen = jax.lax.stop_gradient(scores).astype(jnp.float32).reshape(-1)
        most = ops.num_allowed(frozen)
        finite = ops.finite(frozen, 1.0)
        falling = -jnp.sort(jnp.where(ops.allowed(frozen), -finite, jnp.inf))
        k = ops.traced_num_open(jnp.float32(self.density), most)
        k = jnp.maximum(jnp.minimum(k, most - 1), 1)
        at = lambda index: falling.at[index].get(mode="fill", fill_value=-jnp.inf)
        lowest, next_one = at(k - 1), at(k)
        next_one = jnp.where(jnp.isfinite(next_one), next_one, lowest - 1)
        between = (lowest + next_one) / 2  # never one of the scores
        known = most > 0
        self.updates[...] += known.astype(jnp.float32)
        weight = jnp.maximum(1 - self.decay, 1 / jnp.maximum(self.updates[...], 1))
        move = jnp.where(known, between, self.threshold[...]) - self.threshold[...]
        self.threshold[...] += weight * move


class Threshold(Scalar):
    """State of a moving average of thresholds."""


def calibrate(
    gate: TopkGate, batches: Iterable[Float[Array, "*batch n"]], *, decay: float
) -> EmaThreshold:
    """Returns the causal twin of a trained top-k gate, at the gate's density.

    Args:
        gate: The gate whose current density the twin takes.
        batches: Scores that the gate's scorer gave, such as over a validation split.
        decay: Decay of the moving average per batch, in [0, 1).

    Raises:
        ValueError: If the density is 0 or 1, where there is nothing to decide, or there
            are no batches.

    Example:
        >>> spec = dict(name="hard_topk", density=0.5)
        >>> gate = gates.from_config(spec, rngs=nnx.Rngs(0))
        >>> twin = gates.calibrate(gate, [jnp.arange(8.0)], decay=0.9)
        >>> twin(jnp.array([3.0, 4.0])).mask  # the threshold is 3.5
        Array([0., 1.], dtype=float32)
    """
    twin = EmaThreshold(
        density=gate.current_density, temperature=1.0, decay=decay, rngs=nnx.Rngs(0)
    )
    for scores in batches:
        twin.observe(scores)
    if twin.updates[...] == 0:
        raise ValueError("calibrate needs at least one batch of scores, got none.")
    return nnx.view(twin, deterministic=True)
