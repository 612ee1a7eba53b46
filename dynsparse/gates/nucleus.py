"""Nucleus (top-p) routing: the fewest units whose probabilities reach p."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.decision import GateOutput, deterministic_output
from dynsparse.gates.base.gate import TemperatureGate


class Nucleus(TemperatureGate):
    r"""Gate that opens the fewest units whose softmax probabilities sum to p.

    With $\pi = \mathrm{softmax}(s / T)$ and $b_i$ the sum of the probabilities that
    come before unit i, unit i opens where $b_i < p$ (top-p routing: Huang et al., 2024,
    arXiv:2403.07652): few units where the scores are decided, many where they are not.
    Of equal scores the lower index comes first. At least one unit is open, beside those
    of infinite scores, which take no part.

    The mask, and `open_prob`, are that decision with the gradient of $p - b_i$: a
    density penalty sharpens the softmax, as the entropy loss of the paper does.

    Differs from the paper: the mask is the decision, not the probabilities, which would
    shrink every unit as more are open.

    Args:
        p: Probability that the open units reach together, in (0, 1).
        temperature: > 0, in units of the scores; the larger, the more units open.
        rngs: Unused: there is no noise.

    Raises:
        ValueError: If a value is out of range.

    Example:
        >>> spec = dict(name="nucleus", p=0.7, temperature=1.0)
        >>> gate = gates.from_config(spec, rngs=nnx.Rngs(0))
        >>> gate(jnp.log(jnp.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]))).mask
        Array([[0., 1., 1.],
               [0., 0., 1.]], dtype=float32)
    """

    count = "varying"
    competes = True

    def __init__(self, *, p: float, temperature: float, rngs: nnx.Rngs):
        super().__init__(temperature=temperature, rngs=rngs)
        if not 0 < p < 1:
            raise ValueError(f"p must be in (0, 1), got {p}.")
        self.p = p

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis."""
        first = scores == jnp.inf
        others = ops.widened(jnp.where(first, -jnp.inf, scores))
        prob = ops.softmax(others / self.temperature[...])
        order = jnp.argsort(-others, -1)  # stable: of equal scores the lower index
        falling = jnp.take_along_axis(prob, order, -1)
        before = jnp.cumsum(falling, -1) - falling
        before = jnp.take_along_axis(before, jnp.argsort(order, -1), -1)
        opened = first | ((before < self.p) & ops.allowed(others))
        mask = ops.straight_through(opened.astype(prob.dtype), self.p - before)
        return deterministic_output(mask.astype(scores.dtype))
