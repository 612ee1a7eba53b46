"""Gated experts of any host that has some, with a router of its own."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse.gates import Gate, GateOutput
from dynsparse.layers.trace.program.host_call import HostCall
from dynsparse.layers.trace.rows.rows import Rows
from dynsparse.layers.trace.units.experts import ExpertsOfCall
from dynsparse.layers.trace.units.find_experts import experts_of
from dynsparse.layers.units.gated_units import GatedUnits


class RouterScores(nnx.Module):
    """The scores of the host's own router: the logarithm of what it weighs experts by.

    Example:
        >>> layers.RouterScores()(jnp.array([0.0, 1.0]))
        Array([-inf,   0.], dtype=float32)
    """

    def __call__(self, routed: Float[Array, "*rows experts"]) -> Float[Array, "..."]:
        """Returns the logarithms; -inf for what is not used."""
        used = routed > 0
        return jnp.where(used, jnp.log(jnp.where(used, routed, 1)), -jnp.inf)


class HostExperts(GatedUnits):
    """Runs the experts that each token opens, in a host that has experts and a router.

    The experts are an axis that stacks parameters, or modules that a loop weighs and
    adds up; the host's trace says where its router weighs what they give. The router
    stays as it is: the gate closes experts on top of it. An expert that the router
    weighs by exactly 0, such as one that is not among its top k, is closed at every
    density, so that compact execution skips it: with `density=1.0` a host that computes
    all experts for each token and adds up two of them (Shazeer et al., 2017,
    arXiv:1701.06538) runs these two alone. A top-k gate opens its share of the experts
    that the router uses.

    Args:
        host: Any module, called with features, [*rows, width], and whatever else.
        gate: Any kind.
        num_experts: Number of experts.
        scorer: Maps the features to scores, one for each expert; None for the host's
            own router, whose scores are the logarithms of its weights.
        units: Path of a parameter of the experts, such as "experts/down"; None for that
            of the last product that will do.

    Example:
        >>> class Moe(nnx.Module):
        ...     def __init__(self, rngs):
        ...         self.router = nnx.Linear(4, 3, rngs=rngs)
        ...         self.up = nnx.Param(rngs.params.normal((3, 4, 8)))
        ...         self.down = nnx.Param(rngs.params.normal((3, 8, 4)))
        ...
        ...     def __call__(self, x):
        ...         weights = jax.nn.softmax(self.router(x))
        ...         hidden = jax.nn.relu(jnp.einsum("btd,edf->btef", x, self.up[...]))
        ...         return jnp.einsum("btef,efd,bte->btd", hidden, self.down, weights)
        >>> rule = dict(granularity="experts")  # no scorer: the router of the host
        >>> rule |= dict(gate=dict(name="hard_topk", density=0.34))
        >>> rngs, x = nnx.Rngs(0, gate=1), jnp.ones((2, 5, 4))
        >>> layer = layers.sparsify(Moe(nnx.Rngs(0)), {"": rule}, x, rngs=rngs)
        >>> type(layer).__name__, layer.num_units, layer(x).shape
        ('HostExperts', 3, (2, 5, 4))
    """

    unit = "expert of a token"
    score_axis = "rows"

    def __init__(
        self,
        *,
        host: nnx.Module,
        gate: Gate,
        num_experts: int,
        scorer: nnx.Module | None = None,
        units: str | None = None,
    ):
        super().__init__(
            host=host,
            scorer=RouterScores() if scorer is None else scorer,
            gate=gate,
            num_units=num_experts,
            units=units,
        )

    @property
    def forbids(self) -> bool:
        """Whether scores may be `-inf`: where the host's router weighs by 0."""
        return self.gate.count != "full"

    def _find(self, call: HostCall, rows: Rows) -> ExpertsOfCall:
        """Finds the experts in a call, in the rows that decide about them."""
        found = experts_of(call, self.units)
        if found.units.num_units != self.num_units:
            raise ValueError(
                f"num_experts={self.num_units}, but {found.units.reader} is of "
                f"{found.units.num_units}."
            )
        return found

    def _beside(
        self, found: ExpertsOfCall, features: Float[Array, "*rows width"]
    ) -> dict[str, Array]:
        """What the decision reads beside the features: the weights of the router."""
        return dict(routed=found.routed().reshape(self.decision_shape(features)))

    def choose(
        self, features: Float[Array, "*rows width"], routed: Float[Array, "*rows n"]
    ) -> GateOutput:
        """Decides for these features, about the experts that the host's router uses."""
        own = isinstance(self.scorer, RouterScores)
        scores = self.score(routed if own else features)
        return self.gate(jnp.where(routed > 0, scores, -jnp.inf))
