"""Gates that draw each unit by itself, open with a probability that its score gives."""

import abc

import jax
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.decision import GateOutput, deterministic_output
from dynsparse.gates.base.gate import Gate


class SampledBernoulli(Gate):
    r"""A gate that opens each unit independently, with probability $\sigma(s)$.

    A method overrides `draw`, and `probability` if that is not the sigmoid. In
    evaluation there is no noise: a unit runs if its score is positive, hence its
    probability above one half.

    Args:
        rngs: Draws from the `gate` stream; forked, so that gates are independent.

    Example:
        >>> class Bernoulli(gates.SampledBernoulli):
        ...     def draw(self, scores):
        ...         return ops.bernoulli_straight_through(self.noise(), scores)
        >>> gate = Bernoulli(rngs=nnx.Rngs(0))
        >>> gate(jnp.array([0.0, 40.0, -40.0])).open_prob
        Array([0.5, 1. , 0. ], dtype=float32)
        >>> gates.evaluating(gate)(jnp.array([-0.1, 0.1])).mask
        Array([0., 1.], dtype=float32)
    """

    count = "varying"
    noisy = True

    @abc.abstractmethod
    def draw(self, scores: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """The mask in training, drawn with a key of `self.noise`."""

    def probability(self, scores: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Probability that each unit opens."""
        return jax.nn.sigmoid(scores)

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis, each unit by itself."""
        if self.deterministic:
            return deterministic_output(ops.hard_step(scores))
        return GateOutput(self.draw(scores), self.probability(scores))
