"""Differentiable top-k: hard forward, soft backward."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import GateOutput, Temperature, TopkGate


class SoftTopk(TopkGate):
    """Opens exactly the round(density * n) highest scores.

    The mask is hard in the forward pass; its gradient is that of `ops.soft_topk_mask`
    (Amos, Koltun and Kolter, 2019), which sums to zero over the units, so that the
    scores cannot drift together. `open_prob` is that soft mask.

    Args:
        density: Fraction of units to open, in [0, 1].
        temperature: Width of the soft mask, > 0, in units of the scores. Only units
            within a few temperatures of the k-th score learn.
        rngs: Unused: there is no noise.
    """

    def __init__(self, *, density: float, temperature: float, rngs: nnx.Rngs):
        super().__init__(density=density)
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, got {temperature}.")
        self.temperature = Temperature(jnp.float32(temperature))

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Opens the k highest scores of the last axis."""
        k = self.num_open(scores.shape[-1])
        soft = ops.soft_topk_mask(scores, k, self.temperature[...])
        hard = ops.hard_topk_mask(scores, k)
        if self.static_density is not None:  # compact execution: no gradient to carry,
            return GateOutput(hard, soft)  # so the soft mask is not solved for
        return GateOutput(ops.straight_through(hard, soft), soft)
