"""Expert choice: each expert takes some tokens of an example."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse.gates import Gate, GateOutput
from dynsparse.layers.units.experts import Experts, GatedExperts


class ExpertChoice(GatedExperts):
    """Runs each expert on the tokens of an example that its gate opens.

    Zhou et al. (2022, arXiv:2202.09368), within each example, so that none depends on
    its neighbours in the batch. The tokens compete for each expert instead of the
    experts for each token: with a top-k gate all experts have the same load, and
    compact execution needs no capacities. A decision reads later tokens: not for
    decoding.

    The record is [batch, experts, n].

    Args:
        host: The experts.
        scorer: Maps [batch, n, width] to [batch, n, experts].
        gate: Any kind.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> layer = layers.gated(
        ...     layers.Experts(width=4, hidden=6, num_experts=2, rngs=rngs),
        ...     granularity="expert_choice",
        ...     gate=dict(name="hard_topk", density=0.5),
        ...     scorer=dict(name="linear"),
        ...     rngs=rngs,
        ... )
        >>> _, captured = nnx.capture(layer, gates.GateRecord)(jnp.ones((1, 6, 4)))
        >>> gates.records(captured)[""].mask.sum(-1)  # tokens of each expert
        Array([[3., 3.]], dtype=float32)
    """

    unit = "token of an expert"

    def __init__(self, *, host: Experts, scorer: nnx.Module, gate: Gate):
        super().__init__(host=host, scorer=scorer, gate=gate)

    @property
    def reads_later(self) -> str | None:
        """How a decision depends on later tokens, in words, or None."""
        return None if self.execution == "dense" else self._compares_tokens()

    def choose(self, features: Float[Array, "*batch n width"]) -> GateOutput:
        """Decides for each expert about all tokens."""
        return self.gate(jnp.swapaxes(self.score(features), -1, -2))

    def decide(
        self,
        features: Float[Array, "*batch n width"],
        mask: Float[Array, "*batch n"] | None = None,
    ) -> GateOutput:
        """Decides as in `GatedLayer`; returns masks of [batch, n, experts]."""
        decision = super().decide(features, mask)
        return GateOutput(*(jnp.swapaxes(part, -1, -2) for part in decision))

    @property
    def counts_tokens(self) -> bool:
        """True: an expert opens a share of the tokens."""
        return True

    def decision_shape(
        self, features: Float[Array, "*batch n width"]
    ) -> tuple[int, ...]:
        """Shape of the record: [batch, experts, n]."""
        return (*features.shape[:-2], self.num_units, features.shape[-2])

    def competing(self, x: Float[Array, "*batch n width"]) -> int:
        """Number of tokens of an example."""
        return x.shape[-2]

    def sizes(self, x: Float[Array, "*batch n width"]) -> Sequence[int]:
        """Capacities of each expert; its load alone where the count is fixed."""
        count = self.static_count(self.competing(x))
        if count is None:
            return super().sizes(x)
        return (math.prod(x.shape[:-2]) * count,)
