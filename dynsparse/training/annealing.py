"""Temperatures that fall while a model trains."""

import dataclasses

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from dynsparse._internal.ranges import Checked, Positive, PositiveFraction
from dynsparse.gates import Temperature


@dataclasses.dataclass(frozen=True, kw_only=True)
class TemperatureSchedule(Checked):
    """Geometric decay from the gate's own temperature to `final`.

    Each step divides what is left of the way, on a logarithmic scale, by the steps that
    are left: the temperature is state, and its start is known to the gate alone.

    Attributes:
        final: > 0.
        until: Fraction of the run after which it stays there, in (0, 1].

    Raises:
        ValueError: If a value is out of range.
    """

    final: Positive
    until: PositiveFraction

    def __call__(
        self, temperature: Float[Array, "*layers"], step: Int[Array, ""], num_steps: int
    ) -> Float[Array, "*layers"]:
        """Returns the temperature of the next step.

        Args:
            temperature: Of step number `step`.
            step: Counted from 0.
            num_steps: Of the whole run.
        """
        left = jnp.maximum(self.until * num_steps - step, 1.0)
        return temperature * (self.final / temperature) ** (1 / left)


def temperatures(model: nnx.Module) -> list[Temperature]:
    """Every `Temperature` of `model`."""
    return [node for _, node in nnx.iter_graph(model) if isinstance(node, Temperature)]


def anneal(
    model: nnx.Module,
    schedule: TemperatureSchedule | None,
    step: Int[Array, ""],
    num_steps: int,
) -> dict[str, Float[Array, ""]]:
    """Moves every `Temperature` of `model` by one step, in place.

    Args:
        model: Model with gates that have a temperature.
        schedule: Schedule of the temperatures; None leaves them.
        step: Number of the step, from 0.
        num_steps: Number of steps of the run.

    Returns:
        The metric `temperature`, that of this step; nothing without a schedule.
    """
    if schedule is None:
        return {}
    nodes = temperatures(model)
    metrics = dict(temperature=nodes[0][...].reshape(-1)[0])  # of a scan's first layer
    for node in nodes:
        node[...] = schedule(node[...], step, num_steps)
    return metrics
