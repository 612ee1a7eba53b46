"""The decision: what every gate returns."""

from typing import NamedTuple

from jaxtyping import Array, Float


class GateOutput(NamedTuple):
    """A decision, in the shape and dtype of the scores that it was made from.

    Attributes:
        mask: Multiplies the gated units. In [0, 1]; may be soft while training.
        open_prob: Probability that each unit runs, in [0, 1]. Losses and bills read the
            expected density from here and nowhere else.

    Example:
        >>> mask, open_prob = jnp.array([1.0, 0.0]), jnp.array([0.9, 0.4])
        >>> decision = gates.GateOutput(mask, open_prob)
        >>> decision.open_prob.mean()  # the expected density
        Array(0.65, dtype=float32)
    """

    mask: Float[Array, "*batch n"]
    open_prob: Float[Array, "*batch n"]


def deterministic_output(mask: Float[Array, "*batch n"]) -> GateOutput:
    """A deterministic decision: `open_prob` equals `mask`.

    Gates with noise use it too where the inclusion probabilities have no closed form:
    a drawn mask is an unbiased estimate of them.

    Args:
        mask: In [0, 1].

    Example:
        >>> decision = gates.deterministic_output(jnp.array([1.0, 0.0]))
        >>> decision.open_prob
        Array([1., 0.], dtype=float32)
    """
    return GateOutput(mask, mask)
