"""Gated experts: each token runs some of several MLPs."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates import Gate, GateOutput
from dynsparse.layers.units.parts import GatedParts


class Experts(nnx.Module):
    """Several MLPs of one shape, added up.

    Args:
        width: Features per token.
        hidden: Hidden units of each expert.
        num_experts: Number of MLPs.
        rngs: Initialises from the `params` stream.

    Example:
        >>> experts = layers.Experts(width=4, hidden=6, num_experts=3, rngs=nnx.Rngs(0))
        >>> experts(jnp.ones((2, 5, 4))).shape
        (2, 5, 4)
    """

    def __init__(self, *, width: int, hidden: int, num_experts: int, rngs: nnx.Rngs):
        up = nnx.initializers.lecun_normal(in_axis=0, out_axis=-1, batch_axis=1)
        down = nnx.initializers.lecun_normal(batch_axis=0)
        self.up = nnx.Param(
            up(rngs.params(), (width, num_experts, hidden), jnp.float32)
        )
        self.up_bias = nnx.Param(jnp.zeros((num_experts, hidden), jnp.float32))
        self.down = nnx.Param(
            down(rngs.params(), (num_experts, hidden, width), jnp.float32)
        )
        self.down_bias = nnx.Param(jnp.zeros((num_experts, width), jnp.float32))

    @property
    def width(self) -> int:
        """Features per token."""
        return self.up.shape[0]

    @property
    def num_experts(self) -> int:
        """Number of experts."""
        return self.up.shape[1]

    def __call__(
        self,
        x: Float[Array, "*rows width"],
        weights: Float[Array, "*rows experts"] | None = None,
    ) -> Float[Array, "*rows width"]:
        """Adds up all experts, each weighed by `weights`, in two matrix products."""
        experts, hidden = self.up_bias.shape
        wide = lambda parameter: parameter[...].reshape(-1, experts * hidden)
        units = x @ wide(self.up) + _for(x, wide(self.up_bias)[0])
        down = self.down[...].reshape(experts * hidden, -1)
        if weights is None:
            units = jax.nn.gelu(units)
            return units @ down + _for(x, self.down_bias[...].sum(0))
        weights = weights.astype(units.dtype)
        wide_weights = jnp.repeat(weights, hidden, -1)
        units = jax.nn.gelu(ops.drop_closed(units, wide_weights))
        units = ops.weigh(units, wide_weights)
        return units @ down + weights @ self.down_bias[...]

    def expert(
        self, index: int, x: Float[Array, "rows width"]
    ) -> Float[Array, "rows width"]:
        """Runs the expert of this index alone."""
        units = jax.nn.gelu(x @ self.up[:, index] + self.up_bias[index][None])
        return units @ self.down[index] + self.down_bias[index][None]


def _for(x, bias):
    return bias.reshape(*[1] * (x.ndim - 1), -1)


class GatedExperts(GatedParts):
    """Runs the experts that each token opens (Shazeer et al., 2017, arXiv:1701.06538).

    Tokens choose, and no capacity drops one: a popular expert takes a larger capacity.
    The mask weighs the experts: a gate with soft masks gives them weights of its own.

    Args:
        host: The experts.
        scorer: Maps [batch, n, width] to [batch, n, experts].
        gate: Any kind.
        max_tokens: Most tokens of an example that an expert takes, at least 1: later
            ones are dropped, as if they had not chosen it (GShard: Lepikhin et al.,
            2020, arXiv:2006.16668, drops by batch). None drops none.

    Raises:
        ValueError: If `max_tokens` is below 1.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> layer = layers.gated(
        ...     layers.Experts(width=4, hidden=6, num_experts=3, rngs=rngs),
        ...     granularity="experts",
        ...     gate=dict(name="hard_topk", density=0.34),
        ...     scorer=dict(name="linear"),
        ...     rngs=rngs,
        ... )
        >>> layer(jnp.ones((2, 5, 4))).shape  # by one expert for each token
        (2, 5, 4)
    """

    unit = "expert of a token"
    score_axis = "rows"

    def __init__(
        self,
        *,
        host: Experts,
        scorer: nnx.Module,
        gate: Gate,
        max_tokens: int | None = None,
    ):
        if max_tokens is not None and max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {max_tokens}.")
        super().__init__(
            host=host, scorer=scorer, gate=gate, num_units=host.num_experts
        )
        self.max_tokens = max_tokens

    @property
    def decides_always(self) -> bool:
        """Whether the gate is asked: also where an expert that is full drops tokens."""
        return super().decides_always or self.max_tokens is not None

    @property
    def counts_tokens(self) -> bool:
        """Whether a decision depends on how many tokens there are."""
        return self.max_tokens is not None

    def choose(self, features: Float[Array, "*batch n width"]) -> GateOutput:
        """Decides for these features; closes a full expert to later tokens."""
        decision = super().choose(features)
        if self.max_tokens is None:
            return decision
        place = jnp.cumsum(decision.mask > 0, axis=-2, dtype=jnp.int32)
        taken = (place <= self.max_tokens).astype(decision.mask.dtype)
        return GateOutput(*(part * taken for part in decision))

    def sizes(self, x: Float[Array, "*batch n width"]) -> Sequence[int]:
        """Capacities of each expert, at most as many as an expert takes."""
        if self.max_tokens is None:
            return super().sizes(x)
        most = math.prod(x.shape[:-2]) * min(self.max_tokens, x.shape[-2])
        return ops.capacities(most, self.capacity_steps)

    def whole(
        self,
        x: Float[Array, "*rows width"],
        mask: Float[Array, "batch n"] | None,
        parts: Float[Array, "*rows experts"] | None,
    ) -> Float[Array, "*rows width"]:
        """Computes all experts, weighed."""
        return self.host(x, parts)

    def part(
        self,
        index: int,
        x: Float[Array, "rows width"],
        mask: Float[Array, "rows"] | None,
    ) -> Float[Array, "rows width"]:
        """Computes one expert."""
        return self.host.expert(index, x)

    def shared(self, x: Float[Array, "*rows width"]) -> Float[Array, "*rows width"]:
        """Zeros: experts share nothing."""
        return jnp.zeros_like(x)
