"""The contract that every gate obeys, and the record that gated layers leave."""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int


class GateOutput(NamedTuple):
    """The decision: what a gate returns, in the shape and dtype of the scores.

    Attributes:
        mask: Multiplies the gated units. In [0, 1]; may be soft while training.
        open_prob: Probability that each unit runs, in [0, 1]. Losses read the expected
            density from here and nowhere else.
    """

    mask: Float[Array, "*batch n"]
    open_prob: Float[Array, "*batch n"]


class Temperature(nnx.Variable):
    """Relaxation temperature. An array, so that annealing it never recompiles."""


class Density(nnx.Variable):
    """Fraction of units that a top-k gate opens. An array, so that it may move."""


class GateRecord(nnx.Variable):
    """The `GateOutput` that a gated layer leaves for `nnx.capture`."""


def records(captured: Mapping[Any, Any]) -> dict[str, GateOutput]:
    """Maps the path of each gated layer to its decision.

    Args:
        captured: The state that `nnx.capture(model, GateRecord)(x)` returns second.
    """
    state: Any = captured
    return {
        "/".join(map(str, path[:-1])): variable.get_value()
        for path, variable in nnx.to_flat_state(state)
        if isinstance(variable, GateRecord)
    }


class Gate(nnx.Module, abc.ABC):
    """Turns scores into a decision. Subclass it in a file of its own.

    Attributes:
        count: Whether the number of open units is "fixed", the same for every input, or
            "varying"; "full" opens every unit.
        deterministic: True in evaluation, where a gate that learns draws no noise.
    """

    count: ClassVar[Literal["fixed", "varying", "full"]]
    deterministic: bool = False

    @abc.abstractmethod
    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis of `scores`."""

    def static_count(self, n: int) -> int | None:
        """Units of `n` that open for every input, or None where that is not known."""
        return None

    def set_view(self, deterministic: bool | None = None):
        """Lets `nnx.view(model, deterministic=True)` switch the noise off.

        Args:
            deterministic: True to decide without noise.
        """
        if deterministic is not None:
            self.deterministic = deterministic


class TopkGate(Gate):
    """A gate that opens exactly round(density * n) of n units.

    Args:
        density: Initial value of the `Density` Variable, in [0, 1].
    """

    count = "fixed"

    def __init__(self, *, density: float):
        _check_density(density)
        self.density = Density(jnp.float32(density))
        self.static_density: float | None = None

    def num_open(self, n: int) -> int | Int[Array, ""]:
        """Units of `n` to open: an int where the density is static, else traced."""
        static = self.static_count(n)
        if static is not None:
            return static
        return jnp.round(self.density[...] * n).astype(jnp.int32)

    def static_count(self, n: int) -> int | None:
        """Units of `n` that open, where a view has fixed the density."""
        if self.static_density is None:
            return None
        return num_open(self.static_density, n)

    def set_view(self, deterministic: bool | None = None, density: float | None = None):
        """Lets `nnx.view(model, density=0.5)` fix the density at compile time.

        Args:
            deterministic: True to decide without noise.
            density: Static density in [0, 1], instead of the `Density` Variable.

        Raises:
            ValueError: If `density` is outside [0, 1].
        """
        super().set_view(deterministic=deterministic)
        if density is not None:
            _check_density(density)
            self.static_density = density


def num_open(density: float, n: int) -> int:
    """Units of `n` that a density opens, rounded in float32 as a traced one is."""
    return int(np.round(np.float32(density) * np.float32(n)))


def _check_density(density: float):
    if not 0 <= density <= 1:
        raise ValueError(f"density must be in [0, 1], got {density}.")
