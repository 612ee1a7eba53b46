"""Gated experts: each token runs some of several MLPs."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse.gates.base import Gate
from dynsparse.layers.parts import GatedParts


class Experts(nnx.Module):
    """Several MLPs of one shape, added up.

    Args:
        width: Features per token.
        hidden: Hidden units of each expert.
        num_experts: Of them.
        rngs: Initialises from the `params` stream.
    """

    def __init__(self, *, width: int, hidden: int, num_experts: int, rngs: nnx.Rngs):
        make = nnx.initializers.lecun_normal(batch_axis=0)
        self.up = nnx.Param(make(rngs.params(), (num_experts, width, hidden)))
        self.up_bias = nnx.Param(jnp.zeros((num_experts, hidden)))
        self.down = nnx.Param(make(rngs.params(), (num_experts, hidden, width)))
        self.down_bias = nnx.Param(jnp.zeros((num_experts, width)))

    @property
    def num_experts(self) -> int:
        """How many there are."""
        return self.up.shape[0]

    def __call__(
        self,
        x: Float[Array, "*rows width"],
        weights: Float[Array, "*rows experts"] | None = None,
    ) -> Float[Array, "*rows width"]:
        """Adds up all experts, weighed."""
        hidden = jnp.einsum("...d,edh->...eh", x, self.up[...])
        hidden = jax.nn.gelu(hidden + _for(hidden, self.up_bias[...]))
        output = jnp.einsum("...eh,ehd->...ed", hidden, self.down[...])
        output = output + _for(output, self.down_bias[...])
        if weights is not None:
            output = output * weights[..., None].astype(output.dtype)
        return output.sum(-2)

    def expert(
        self, index: int, x: Float[Array, "rows width"]
    ) -> Float[Array, "rows width"]:
        """One expert alone."""
        hidden = jax.nn.gelu(x @ self.up[index] + self.up_bias[index][None])
        return hidden @ self.down[index] + self.down_bias[index][None]


def _for(x, bias):
    return bias.reshape(*[1] * (x.ndim - bias.ndim), *bias.shape)


class GatedExperts(GatedParts):
    """Runs the experts that each token opens (Shazeer et al., 2017, arXiv:1701.06538).

    Tokens choose, and no capacity drops one: a popular expert takes a larger capacity.
    The mask weighs the experts: a gate with soft masks gives them weights of its own.

    Args:
        host: The experts.
        scorer: Maps [*rows, width] to [*rows, experts].
        gate: Any kind.
        capacity_steps: As in `GatedParts`.
    """

    unit = "expert of a token"
    score_axis = "rows"

    def __init__(
        self,
        *,
        host: Experts,
        scorer: nnx.Module,
        gate: Gate,
        capacity_steps: int = 16,
    ):
        super().__init__(
            host=host,
            scorer=scorer,
            gate=gate,
            num_parts=host.num_experts,
            capacity_steps=capacity_steps,
        )

    def whole(self, x, mask, parts):
        """All experts, weighed."""
        del mask
        return self.host(x, parts)

    def part(self, index, x, mask):
        """One expert."""
        del mask
        return self.host.expert(index, x)

    def shared(self, x):
        """Zeros: experts share nothing."""
        return jnp.zeros_like(x)
