"""Any-budget policy: draws densities at every step, for one model of any budget."""

import dataclasses
from collections.abc import Callable

from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from dynsparse.budgets.distillation import Distance, Distillation
from dynsparse.budgets.policies.base import Policy
from dynsparse.budgets.ramp import Ramp
from dynsparse.budgets.sampling.base import Sampling
from dynsparse.gates import Gate, TopkGate


@dataclasses.dataclass(frozen=True, kw_only=True)
class Any(Policy):
    """Trains top-k gates at densities that are drawn anew at every step.

    Attributes:
        sampling: Draws them.
        distillation: What the first pass of a step teaches the others; None for
            nothing.
        ramp: How the densities fall to those that are drawn; None for at once.
        penalties: What is added to the loss.

    Raises:
        ValueError: If a value is not accepted, or a single pass is to be distilled.
    """

    sampling: Sampling
    distillation: Distillation | None = None
    ramp: Ramp | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.distillation is not None and self.passes == 1:
            raise ValueError(
                "budget: distillation needs a sampling of several passes, such as "
                "sandwich: the first is the teacher of the others."
            )

    @property
    def passes(self) -> int:
        """As many as the sampling draws densities."""
        return self.sampling.passes

    @property
    def reads_features(self) -> bool:
        """Whether students also learn the features of their teacher."""
        return self.distillation is not None and self.distillation.features > 0

    @property
    def lowest(self) -> float:
        """That of the sampling."""
        return self.sampling.low

    def gate_keys(self, gate: type[Gate]) -> dict[str, float]:
        """Density 1 between the steps, for top-k gates."""
        if not issubclass(gate, TopkGate):
            raise ValueError(
                f"budget: no density of {gate.__name__} can be drawn at every step; "
                "those of top-k gates can."
            )
        return dict(density=1.0)

    def densities(
        self, key: PRNGKeyArray, progress: Float[Array, ""]
    ) -> Float[Array, "passes"]:
        """What the sampling draws."""
        drawn = self.sampling(key)
        return drawn if self.ramp is None else self.ramp(drawn, progress)

    def distil(
        self,
        losses: Float[Array, "passes batch"],
        outputs: PyTree,
        features: tuple[Float[Array, "passes batch _"], ...],
        distance: Distance | None = None,
    ) -> Float[Array, "passes batch"]:
        """The losses with the distance of each student from the teacher."""
        if self.distillation is None:
            return losses
        return self.distillation(losses, outputs, features, distance)

    def words(
        self, at: Callable[[float], str] | None, of: Callable[[float], str]
    ) -> str:
        """The densities and their MACs."""
        low, high = self.sampling.low, self.sampling.high
        if at is None:  # where no gate of the model has one
            return ""
        if low == high:
            return f"density {low:g}: {at(low)}"
        return f"densities {low:g} to {high:g}: {at(low)} to {at(high)}"
