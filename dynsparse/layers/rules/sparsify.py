"""Gates a model that knows nothing of gates."""

import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from dynsparse._internal import registry
from dynsparse._internal.call import Call, call
from dynsparse._internal.paths import part_at, path_name, stands_inside
from dynsparse.gates import evaluating
from dynsparse.layers.base.arguments import split
from dynsparse.layers.proof.prove import prove
from dynsparse.layers.proof.trial_values import drawn, moved, usual_settings
from dynsparse.layers.rows.blocks import GatedBlock
from dynsparse.layers.rows.bypass import BypassedTokens
from dynsparse.layers.rows.open_tokens import OpenTokens
from dynsparse.layers.rules.complete import completed, of_one_layer
from dynsparse.layers.rules.gated import gated
from dynsparse.layers.rules.granularities import GRANULARITIES
from dynsparse.layers.rules.places import find_places
from dynsparse.layers.rules.scanned import first_layer
from dynsparse.layers.rules.swap import LONGEST_REASON, Proved, named, swapped
from dynsparse.layers.trace.program.host_call import HostCall
from dynsparse.layers.trace.program.listen import HeardCall, listen
from dynsparse.layers.trace.rows.examples import Batch, check_skip
from dynsparse.layers.units.gated_units import GatedUnits

Model = TypeVar("Model", bound=nnx.Module)


def sparsify(
    model: Model,
    rules: Mapping[str, registry.Config],
    example: Any,
    *,
    rngs: nnx.Rngs,
) -> Model:
    """Replaces modules of `model` by gated layers around them; the weights stay.

    The model is run once on the example, to hear how each module is called. A module is
    never rebuilt: its own trace says where the examples, tokens and units lie. Each
    layer is then proved on that call: with every unit open it gives what the module
    gives, gradients included, and with some closed what it would give without them.
    Only then is the model changed. (Gated tokens return a pair: the host's output, zero
    at closed tokens, and the mask.)

    Layers that one module stacks (`nnx.vmap`) and `nnx.scan` runs are gated as one
    module: each has a scorer and a gate of its own, and a line of its own in bills.

    Args:
        model: Changed in place, unless a rule is refused.
        rules: One rule for each path pattern, such as "blocks/*/mlp", in which * stands
            for one part of a path, and "" for the model. A rule has the keys
            `granularity`, one of `GRANULARITIES`, `gate` and `scorer` (none for
            "width") and the options of that layer, such as `num_blocks`. Neurons,
            heads, channels and width take any module; `units` names the parameter that
            reads them, such as "mlp/down_proj/kernel", where the last one that will do
            is not meant. With `share=True` the first module of the rule that is called
            decides for all of them. `exits` need a `head`, the path of the module that
            makes logits of features. `width` and `num_tokens` may be told, to be
            checked.
        example: How the model is called: an array, or `dynsparse.call(...)` of any
            arguments, with two examples or more.
        rngs: Streams `params` and `gate`, for scorers and gates.

    Returns:
        `model`.

    Raises:
        ValueError: If a rule matches nothing, two match the same module, a module is
            used in several places, a granularity, gate or option is not accepted, or
            the gated layer would compute something else than the module.

    Example:
        >>> class Block(nnx.Module):
        ...     def __init__(self, rngs):
        ...         self.fc1 = nnx.Linear(4, 8, rngs=rngs)
        ...         self.fc2 = nnx.Linear(8, 4, rngs=rngs)
        ...
        ...     def __call__(self, x, *, scale=1.0):
        ...         return x + scale * self.fc2(jax.nn.relu(self.fc1(x)))
        >>> rule = dict(
        ...     granularity="neurons",
        ...     gate=dict(name="hard_topk", density=0.5),
        ...     scorer=dict(name="linear"),
        ...     num_blocks=2,
        ... )
        >>> model = nnx.Sequential(Block(nnx.Rngs(0)))
        >>> x = jnp.ones((2, 3, 4))
        >>> model = layers.sparsify(
        ...     model, {"layers/*": rule}, x, rngs=nnx.Rngs(1, gate=2)
        ... )
        >>> type(model.layers[0]).__name__, model(x).shape
        ('GatedNeurons', (2, 3, 4))
    """
    places, asked = find_places(model, rules), call(example)
    with usual_settings():
        found = _proved(moved(evaluating(model)), rules, places, drawn(asked))
    return swapped(model, places, found, rngs, asked)


def sparsify_unproved(
    model: Model, rules: Mapping[str, registry.Config], *, rngs: nnx.Rngs
) -> Model:
    """Replaces modules by gated layers whose rules are known to be right.

    For the models of this library, whose rules its tests prove.

    Args:
        model: As in `sparsify`.
        rules: As in `sparsify`, with all options of each layer.
        rngs: As in `sparsify`.

    Raises:
        ValueError: If a granularity, gate or option is not accepted.
    """
    places = find_places(model, rules)
    found = {path: Proved(dict(rules[pattern])) for path, pattern in places.items()}
    return swapped(model, places, found, rngs)


def _proved(
    model: Any,
    rules: Mapping[str, registry.Config],
    places: Mapping[tuple, str],
    example: Call,
) -> dict[tuple, Proved]:
    """What is known of each module that rules are about, by path."""
    calls, reasons = _heard(model, list(places), example)
    found: dict[tuple, Proved] = {}
    proved: list[tuple[tuple, Batch | None]] = []
    for path, pattern in places.items():
        with named(path, pattern):
            if path in reasons:
                raise ValueError(reasons[path])
            host, heard = part_at(model, path), calls[path]
            if heard.layers is not None:
                host = first_layer(host)
            rule = completed(dict(rules[pattern]), host, heard, model)
            kind = (pattern, *_structure((host, heard.form, heard.state)))
            batch = next((batch for known, batch in proved if known == kind), None)
            if all(known != kind for known, _ in proved):  # once for each structure
                batch = _prove(host, of_one_layer(rule, model), heard)
                proved.append((kind, batch))
            layer = GRANULARITIES[rule["granularity"]].layer_of(host)
            if heard.inside and (rule.get("share") or layer.falls):
                raise ValueError(
                    "what a layer decides inside of a scan reaches no other layer: "
                    "exits and share need layers that run one by one."
                )
            names = {path_name(p): call for p, call in calls.items()}
            inside = [name for name in names if stands_inside(name, path_name(path))]
            if rule.get("head") in names:
                raise ValueError(f"its head, {rule['head']}, is gated as well.")
            if inside and issubclass(layer, GatedUnits):
                raise ValueError(
                    f"its units cannot be gated around {inside[0]}, gated as well: "
                    f"name the module that has the units alone."
                )
            scanned = [name for name in inside if names[name].inside]
            if scanned and not heard.inside:
                raise ValueError(
                    f"it runs {scanned[0]}, gated as well, in a scan or another "
                    f"transformation, and on a part of its input its decisions do not "
                    f"come out of that; gate one of the two."
                )
            found[path] = Proved(rule, batch, heard.layers, heard.inside)
    return {path: found[path] for path in calls}  # in the order of their calls


def _prove(host: Any, rule: dict[str, Any], heard: HeardCall) -> Batch | None:
    """Proves the layer of a rule; returns where its examples lie, if they skip it."""
    trial = dict(rule)
    if rule.get("scorer") is not None:  # without weights, since no proof asks it
        trial["scorer"] = dict(name="evenly_spaced")
    layer = gated(nnx.clone(host), **trial, rngs=nnx.Rngs(0, gate=1))
    if isinstance(layer, GatedBlock):
        layer.batch = layer.find_batch(*split(heard.arguments()))
    if isinstance(layer, OpenTokens):
        _check_takes_mask(host)
    if isinstance(layer, BypassedTokens):
        args, kwargs = heard.arguments()
        check_skip(HostCall(host, args, kwargs).trace)
    prove(layer, heard)
    return layer.batch if isinstance(layer, GatedBlock) else None


def _heard(model: Any, places: list[tuple], example: Call) -> Any:
    try:
        return listen(model, places, example)
    except Exception as error:
        reason = " ".join(str(error).split())[:LONGEST_REASON]
        raise ValueError(
            f"sparsify: the model cannot be called with the example, {example}: "
            f"{type(error).__name__}: {reason}"
        ) from error


def _check_takes_mask(host: Any):
    """Refuses hosts of tokens that do not leave closed ones out by themselves."""
    signature = inspect.signature(host)
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise ValueError(
            f"gated tokens need a host that is called with its input and the mask of "
            f"open tokens; {type(host).__name__} is called with {signature}."
        ) from error


def _structure(parts: Any) -> tuple:
    """The structure of a module and its call: all but the values of arrays."""
    graphdef, state = nnx.split(parts)
    kind = lambda x: (jnp.shape(x), getattr(x, "dtype", type(x)))
    return graphdef, [kind(x) for x in jax.tree.leaves(state)]
