"""Gates: scores to a decision. One method per file; the file's name is its name."""

from flax import nnx

from dynsparse._internal import registry
from dynsparse.gates.base import (
    Density,
    Gate,
    GateOutput,
    GateRecord,
    Temperature,
    TopkGate,
    deterministic_output,
    evaluating,
    records,
)
from dynsparse.gates.ema_threshold import calibrate

__all__ = [
    "Density",
    "Gate",
    "GateOutput",
    "GateRecord",
    "Temperature",
    "TopkGate",
    "available",
    "calibrate",
    "deterministic_output",
    "evaluating",
    "find",
    "from_config",
    "records",
]


def available() -> list[str]:
    """Names of the gates of this library."""
    return registry.available(__name__)


def find(name: str) -> type[Gate]:
    """The class of the gate `name`, one of `available()` or "package.module:Class".

    Raises:
        ValueError: If there is no such gate.
    """
    return registry.find(__name__, name)


def from_config(config: registry.Config, *, rngs: nnx.Rngs) -> Gate:
    """Builds the gate that `config` names.

    Args:
        config: `name`, one of `available()` or "package.module:Class", and exactly the
            keys of that gate's constructor.
        rngs: Gates that draw noise fork the `gate` stream.

    Raises:
        ValueError: If the name or a key is unknown, a key is missing, or a value is
            outside the range that the gate accepts.
    """
    return registry.build(__name__, config, rngs=rngs)
