"""Rules, completed by what the call of a module tells."""

from typing import Any

import jax
from flax import nnx

from dynsparse._internal.paths import path_name
from dynsparse._internal.suggest import did_you_mean
from dynsparse.layers.base.arguments import features_of
from dynsparse.layers.exits.host_exits import answer
from dynsparse.layers.rules.granularities import GRANULARITIES, options_of
from dynsparse.layers.trace.program.host_call import HostCall
from dynsparse.layers.trace.program.listen import HeardCall
from dynsparse.layers.trace.units.find_experts import experts_of
from dynsparse.layers.trace.units.find_units import find_units
from dynsparse.layers.units.heads import GatedHeads


def completed(
    rule: dict[str, Any], host: nnx.Module, heard: HeardCall, model: nnx.Module
) -> dict[str, Any]:
    """Adds to a rule what its layer needs and the call of the module tells.

    Args:
        rule: As a user wrote it.
        host: The module.
        heard: How the model calls it.
        model: What a `head` is a module of.

    Raises:
        ValueError: If the rule says otherwise, or no argument has features.
    """
    row = GRANULARITIES.get(rule.get("granularity", ""))
    if row is None or row.layer.score_axis == "fields":
        return rule
    layer = row.layer_of(host)
    if layer.score_axis == "answer":
        return rule | _answered(rule, heard, model)
    args, kwargs = heard.arguments()
    features = features_of(args, kwargs)
    width = int(features.shape[-1])
    if rule.get("width", width) != width:
        raise ValueError(
            f"width={rule['width']!r}, but its input has {width} features."
        )
    rule = rule | dict(width=width)
    options = options_of(layer)
    if "num_tokens" in options:
        rule.setdefault("num_tokens", int(features.shape[1]))
    if "grid" in options and "tile" in rule:
        sides = features.shape[1:3]
        rule.setdefault("grid", tuple(side // rule["tile"] for side in sides))
    if "num_experts" in options and "num_experts" not in rule:
        call = HostCall(host, args, kwargs)
        rule["num_experts"] = experts_of(call, rule.get("units")).units.num_units
    if "num_heads" in options and "num_heads" not in rule:
        trace = HostCall(host, args, kwargs).trace
        rule["num_heads"] = find_units(
            trace, rule.get("units"), GatedHeads.sought
        ).num_units
    return rule


def of_one_layer(rule: dict[str, Any], model: nnx.Module) -> dict[str, Any]:
    """What a rule says of each of its layers alone.

    Args:
        rule: As a user wrote it.
        model: What a `head` is a module of.

    Raises:
        ValueError: If there is no such head.
    """
    return with_head({name: x for name, x in rule.items() if name != "share"}, model)


def with_head(rule: dict[str, Any], model: nnx.Module) -> dict[str, Any]:
    """Puts the module that a rule calls its head in the place of its path.

    Args:
        rule: As a user wrote it.
        model: What the path leads through.

    Raises:
        ValueError: If there is none.
    """
    if "head" not in rule:
        return rule
    name, parts = rule["head"], nnx.iter_modules(model)
    found = {path_name(path): part for path, part in parts if callable(part)}
    if name not in found:
        raise ValueError(
            f"head={name!r} is no module of the model{did_you_mean(str(name), found)}"
        )
    return rule | dict(head=found[name])


def _answered(
    rule: dict[str, Any], heard: HeardCall, model: nnx.Module
) -> dict[str, Any]:
    """The number of logits that a head gives, for what is no `Stage`."""
    if "head" not in rule:
        return {}
    head = with_head(rule, model)["head"]
    features = features_of(*heard.arguments())
    try:
        logits = jax.eval_shape(lambda x: answer(head, x), features)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"head={rule['head']!r} cannot read features of shape "
            f"{list(features.shape)}: {reason}"
        ) from error
    return dict(width=logits.shape[-1])
