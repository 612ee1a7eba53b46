"""State of gates that moves while a model trains or is used, without recompilation."""

import jax.numpy as jnp
from flax import nnx


class Scalar(nnx.Variable):
    """One number of a gate; in a stack of layers, one for each of them."""


class Temperature(Scalar):
    """Relaxation temperature of a gate, > 0, a scalar that schedules anneal.

    Example:
        >>> spec = dict(name="gumbel_sigmoid", temperature=1.0)
        >>> gate = gates.from_config(spec, rngs=nnx.Rngs(0))
        >>> gate.temperature[...] = jnp.float32(0.5)
        >>> nnx.state(gate, gates.Temperature)["temperature"].get_value()
        Array(0.5, dtype=float32)
    """


class Density(Scalar):
    """Fraction of units that a top-k gate opens, in [0, 1], a scalar.

    Example:
        >>> spec = dict(name="hard_topk", density=0.5)
        >>> gate = gates.from_config(spec, rngs=nnx.Rngs(0))
        >>> gate.density[...] = jnp.float32(0.25)
        >>> gate(jnp.arange(4.0)).mask
        Array([0., 0., 0., 1.], dtype=float32)
    """


class ScoreShift(Scalar):
    """Number that a gated layer adds to all scores of a varying-count gate.

    Calibration moves it after training; in units of the scores.

    Example:
        >>> shift = gates.ScoreShift(jnp.float32(0))
        >>> shift[...] += 0.5
        >>> shift.get_value()
        Array(0.5, dtype=float32)
    """


def initial_temperature(temperature: float) -> Temperature:
    """Returns the `Temperature` Variable of a gate.

    Args:
        temperature: > 0, in units of the scores.

    Raises:
        ValueError: If `temperature` is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}.")
    return Temperature(jnp.float32(temperature))
