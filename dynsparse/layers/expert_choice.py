"""Expert choice: each expert takes some tokens of an example."""

import math

import jax.numpy as jnp
from flax import nnx

from dynsparse.gates import Gate, GateOutput
from dynsparse.layers.experts import Experts, GatedExperts


class ExpertChoice(GatedExperts):
    """Runs each expert on the tokens of an example that its gate opens.

    Zhou et al. (2022, arXiv:2202.09368), within each example, so that none depends on
    its neighbours in the batch. The tokens compete for each expert instead of the
    experts for each token: with a top-k gate all experts have the same load, and
    compact execution needs no capacities. A token looks at later ones: not for
    decoding.

    Its record is [batch, experts, n].

    Args:
        host: The experts.
        scorer: Maps [batch, n, width] to [batch, n, experts].
        gate: Any kind.
    """

    unit = "token of an expert"

    def __init__(
        self,
        *,
        host: Experts,
        scorer: nnx.Module,
        gate: Gate,
    ):
        super().__init__(host=host, scorer=scorer, gate=gate)

    @property
    def reads_later(self):
        """As of other layers whose tokens compete."""
        return None if self.execution == "dense" else self._compares_tokens()

    def choose(self, features):
        """The decision of each expert about all tokens."""
        return self.gate(jnp.swapaxes(self.score(features), -1, -2))

    def decide(self, features, mask=None):
        """As in `GatedExperts`, from the side of the tokens: [batch, n, experts]."""
        decision = super().decide(features, mask)
        return GateOutput(*(jnp.swapaxes(part, -1, -2) for part in decision))

    @property
    def counts_tokens(self) -> bool:
        """Always: an expert opens a share of them."""
        return True

    def decision_shape(self, features):
        """[batch, experts, n]."""
        return (*features.shape[:-2], self.num_units, features.shape[-2])

    def competing(self, x):
        """The tokens of an example."""
        return x.shape[-2]

    def sizes(self, x):
        """One, where the count is fixed: the load of every expert."""
        count = self.static_count(self.competing(x))
        if count is None:
            return super().sizes(x)
        return (math.prod(x.shape[:-2]) * count,)
