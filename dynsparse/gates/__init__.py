"""Gates: scores to a decision. One method per file; the file's name is its name.

`base/` holds what methods share: the contract, classes to derive from, records.
"""

from flax import nnx

from dynsparse._internal import registry
from dynsparse.gates.base.bernoulli import SampledBernoulli
from dynsparse.gates.base.decision import GateOutput, deterministic_output
from dynsparse.gates.base.gate import Gate, TemperatureGate
from dynsparse.gates.base.in_models import (
    evaluating,
    find_gates,
    gated_modules,
    layer_names,
    num_stacked,
)
from dynsparse.gates.base.records import GateRecord, capture, leave, records
from dynsparse.gates.base.topk import GumbelRelaxedTopk, RelaxedTopk, TopkGate
from dynsparse.gates.base.variables import Density, ScoreShift, Temperature
from dynsparse.gates.ema_threshold import calibrate

__all__ = [
    "Density",
    "Gate",
    "GateOutput",
    "GateRecord",
    "GumbelRelaxedTopk",
    "RelaxedTopk",
    "SampledBernoulli",
    "ScoreShift",
    "Temperature",
    "TemperatureGate",
    "TopkGate",
    "available",
    "calibrate",
    "capture",
    "deterministic_output",
    "evaluating",
    "find",
    "find_gates",
    "from_config",
    "gated_modules",
    "layer_names",
    "leave",
    "num_stacked",
    "records",
]


def available() -> list[str]:
    """Names of the gates of this library: the files of this folder.

    Example:
        >>> gates.available()[:3]
        ['bernoulli_straight_through', 'binary_concrete', 'capped_entmax']
    """
    return registry.available(__name__)


def find(name: str) -> type[Gate]:
    """Returns the class of a gate.

    Args:
        name: One of `available()`, or "package.module:Class" for a gate of your own.

    Raises:
        ValueError: If there is no such gate.

    Example:
        >>> gates.find("soft_topk").__name__
        'SoftTopk'
    """
    return registry.find(__name__, name)


def from_config(config: registry.Config, *, rngs: nnx.Rngs) -> Gate:
    """Builds the gate that `config` names.

    Args:
        config: `name`, as in `find`, and exactly the keys of that gate's constructor.
        rngs: Gates that draw noise fork the `gate` stream.

    Raises:
        ValueError: If the name or a key is unknown, a key is missing, or a value is
            outside the range that the gate accepts.

    Example:
        >>> spec = dict(name="dftopk", density=0.5, temperature=1.0)
        >>> gate = gates.from_config(spec, rngs=nnx.Rngs(0))
        >>> gate(jnp.array([2.0, 0.5, 1.0, -1.0])).mask
        Array([1., 0., 1., 0.], dtype=float32)
    """
    return registry.build(__name__, config, rngs=rngs)
