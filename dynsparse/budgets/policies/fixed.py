"""One density from the first step to the last."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from dynsparse._internal.ranges import Fraction
from dynsparse.budgets.policies.base import Policy, takes_density
from dynsparse.budgets.ramp import Ramp
from dynsparse.gates import Gate, TopkGate


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fixed(Policy):
    """Trains at one density, which the curve shows in any case.

    Attributes:
        density: In [0, 1].
        ramp: How the density of top-k gates gets there; None for at once.
        penalties: What is added to the loss.

    Raises:
        ValueError: If a value is not accepted.
    """

    density: Fraction
    ramp: Ramp | None = None

    @property
    def lowest(self) -> float:
        """The density."""
        return self.density

    @property
    def points(self) -> tuple[float, ...]:
        """The density."""
        return (self.density,)

    def gate_keys(self, gate: type[Gate]) -> dict[str, float]:
        """The density, for any gate that takes one."""
        if not takes_density(gate):
            raise ValueError(
                f"budget: fixed sets a density, and {gate.__name__} has none; "
                "accepted: penalised, or constrained."
            )
        if self.ramp is not None and not issubclass(gate, TopkGate):
            raise ValueError(
                f"budget: a ramp moves the density of top-k gates, and that of "
                f"{gate.__name__} stays as it is; accepted: None."
            )
        return dict(density=self.density)

    def densities(
        self, key: PRNGKeyArray, progress: Float[Array, ""]
    ) -> Float[Array, "1"] | None:
        """The density of now, where a ramp moves it."""
        if self.ramp is None:
            return None
        return self.ramp(jnp.float32(self.density), progress)[None]

    def words(
        self, at: Callable[[float], str] | None, of: Callable[[float], str]
    ) -> str:
        """The density and its MACs."""
        told = f"density {self.density:g}"
        return told if at is None else f"{told}: {at(self.density)}"
