"""Rules, completed by what the call of a module tells."""

from typing import Any

from flax import nnx

from dynsparse.layers.granularities import GRANULARITIES, options_of
from dynsparse.layers.host_arrays import features_of
from dynsparse.layers.host_units import HostHeads
from dynsparse.layers.trace.host import HostCall
from dynsparse.layers.trace.listen import HeardCall
from dynsparse.layers.trace.units import find_units


def completed(
    rule: dict[str, Any], host: nnx.Module, heard: HeardCall
) -> dict[str, Any]:
    """Adds to a rule what its layer needs and the call of the module tells.

    Args:
        rule: As a user wrote it.
        host: The module.
        heard: How the model calls it.

    Raises:
        ValueError: If the rule says otherwise, or no argument has features.
    """
    row = GRANULARITIES.get(rule.get("granularity", ""))
    if row is None or row.layer.score_axis in ("fields", "answer"):
        return rule
    args, kwargs = heard.arguments()
    features, layer = features_of(args, kwargs), row.layer_of(host)
    width = int(features.shape[-1])
    if rule.get("width", width) != width:
        raise ValueError(
            f"width={rule['width']!r}, but its input has {width} features."
        )
    rule = {name: value for name, value in rule.items() if name != "width"}
    if row.width_of(host) is not None:
        rule["width"] = width
    options = options_of(layer)
    if "num_tokens" in options:
        rule.setdefault("num_tokens", int(features.shape[1]))
    if "grid" in options and "tile" in rule:
        sides = features.shape[1:3]
        rule.setdefault("grid", tuple(side // rule["tile"] for side in sides))
    if "num_heads" in options and "num_heads" not in rule:
        trace = HostCall(host, args, kwargs).trace
        rule["num_heads"] = find_units(
            trace, rule.get("units"), HostHeads.sought
        ).num_units
    return rule
