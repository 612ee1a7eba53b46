"""Gates a model that knows nothing of gates."""

import collections
import contextlib
import fnmatch
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from dynsparse import gates
from dynsparse._internal import registry
from dynsparse._internal.paths import part_at, path_name, put_at
from dynsparse.layers.base import GatedLayer
from dynsparse.layers.blocks import GatedBlock
from dynsparse.layers.bypass import BypassedTokens
from dynsparse.layers.channels import GatedChannels
from dynsparse.layers.expert_choice import ExpertChoice
from dynsparse.layers.experts import GatedExperts
from dynsparse.layers.features import GatedFeatures
from dynsparse.layers.fidelity import prove
from dynsparse.layers.heads import GatedHeads
from dynsparse.layers.make_scorer import make_scorer
from dynsparse.layers.neurons import GatedNeurons
from dynsparse.layers.plain import rebuilds, take_over
from dynsparse.layers.positions import GatedPositions
from dynsparse.layers.tokens import GatedTokens
from dynsparse.layers.width import GatedWidth

Model = TypeVar("Model", bound=nnx.Module)

_LONGEST_REASON = 400  # characters of what others say is wrong

# By granularity: the layer, and from host and options to width and units.
GRANULARITIES: dict[str, tuple[type[GatedLayer], Callable[[Any, dict], tuple]]] = dict(
    blocks=(GatedBlock, lambda host, own: (own.pop("width"), 1)),
    bypass=(BypassedTokens, lambda host, own: (own.pop("width"), own["num_tokens"])),
    channels=(
        GatedChannels,
        lambda host, own: (host.first.in_features, own["num_groups"]),
    ),
    experts=(GatedExperts, lambda host, own: (host.width, host.num_experts)),
    expert_choice=(ExpertChoice, lambda host, own: (host.width, host.num_experts)),
    features=(
        GatedFeatures,
        lambda host, own: (own.pop("num_codes"), own["num_fields"]),
    ),
    heads=(GatedHeads, lambda host, own: (host.qkv.in_features, host.num_heads)),
    neurons=(GatedNeurons, lambda host, own: (host.up.in_features, own["num_blocks"])),
    positions=(
        GatedPositions,
        lambda host, own: (own.pop("width"), math.prod(own["grid"])),
    ),
    tokens=(GatedTokens, lambda host, own: (own.pop("width"), own["num_tokens"])),
    width=(GatedWidth, lambda host, own: (host.up.in_features, own["num_slices"])),
)


def sparsify(
    model: Model, rules: Mapping[str, registry.Config], *, rngs: nnx.Rngs
) -> Model:
    """Replaces modules of `model` by gated ones around them; weights stay.

    Each is tried first, on random inputs: with every unit open it must give what the
    module gives, and with some closed the others what they give alone. (What tokens
    return is a pair: what their host gives, zero where they are closed, and the mask.)

    Args:
        model: Changed in place, unless a rule is refused.
        rules: By path pattern, such as "blocks/*/mlp", in which * stands for one part
            of a path. A rule has the keys `granularity`, `gate` and `scorer` (none for
            "width") and the options of that layer, such as `num_blocks` or
            `num_tokens`; blocks, tokens and bypass also need `width`, the features of
            their input, and features `num_codes`. Heads take an
            `nnx.MultiHeadAttention` that is called with its input alone. Where a plain
            module stands in for an MLP or a pair of convolutions, all of its parts are
            named, `dict(up="fc1", down="fc2", activation=jax.nn.gelu)` or
            `dict(first="conv1", norm="bn1", second="conv2", activation=jax.nn.relu)`,
            where None is no norm. `shape` is that of one example of a module's input,
            for modules that take no other.
        rngs: Streams `params` and `gate`, for scorers and gates.

    Returns:
        `model`.

    Raises:
        ValueError: If a rule matches nothing, two match the same module, a module is
            used in several places, a granularity, gate or option is not accepted, or
            the gated module would be another one than was there.
    """
    places = _places(model, rules)
    proved: list[tuple] = []
    for path, pattern in places.items():
        host, rule = part_at(model, path), dict(rules[pattern])
        with _named(path, pattern):
            kind = (pattern, *_structure(host))
            if kind not in proved:  # layers of one structure are tried once
                _prove(host, rule)
                proved.append(kind)
    before = {}
    try:
        for path, pattern in reversed(places.items()):  # inner ones first
            rule = {k: x for k, x in dict(rules[pattern]).items() if k != "shape"}
            host = part_at(model, path)
            with _named(path, pattern):
                layer = gated(host, **rule, rngs=rngs)
                put_at(model, path, layer)
            before[path] = host
    except Exception:
        for path, host in reversed(before.items()):
            put_at(model, path, host)
        raise
    return model


def gated(
    host: nnx.Module,
    *,
    granularity: str,
    gate: registry.Config,
    scorer: registry.Config | None = None,
    rngs: nnx.Rngs,
    **options: Any,
) -> GatedLayer:
    """The gated layer of a granularity around a host, as in `sparsify`.

    Args:
        host: What is gated.
        granularity: One of `GRANULARITIES`.
        gate: Config of the gate.
        scorer: Config of the scorer, as in `make_scorer`.
        rngs: Streams `params` and `gate`.
        **options: Of the layer, and `width` where the host does not tell it.

    Raises:
        ValueError: If a name, key or value is not accepted.
    """
    rule = dict(granularity=granularity, gate=gate, scorer=scorer, **options)
    return _built(host, rule, rngs)[0]


def _built(
    host: nnx.Module, rule: Mapping[str, Any], rngs: nnx.Rngs
) -> tuple[GatedLayer, int]:
    """The gated layer that a rule asks for, and the width of its input."""
    options = dict(rule)
    granularity, gate = options.pop("granularity", None), options.pop("gate", None)
    scorer = options.pop("scorer", None)
    if granularity not in GRANULARITIES:
        raise ValueError(
            f"granularity must be one of {tuple(GRANULARITIES)}, got {granularity!r}."
        )
    if gate is None:
        raise ValueError(f"{granularity} needs a gate.")
    (kind, sizes), given = GRANULARITIES[granularity], set(options)
    around = type(host).__name__
    try:
        host = take_over(host, granularity, options)
        width, num_units = sizes(host, options)
    except KeyError as error:
        raise ValueError(f"{granularity} around {around} needs {error}.") from error
    parts: dict[str, Any] = dict(gate=gates.from_config(gate, rngs=rngs), **options)
    if kind is not GatedWidth:
        if scorer is None:
            raise ValueError(f"{granularity} needs a scorer.")
        parts["scorer"] = make_scorer(
            scorer, kind, width=width, num_units=num_units, rngs=rngs
        )
    make: Any = kind
    own = inspect.signature(kind.__init__).parameters.keys()
    for name in options.keys() - own:
        read = given - options.keys()  # for the host and the scorer
        accepted = sorted(own - {"self", "host", "gate", "scorer"} | read)
        raise ValueError(f"{granularity} has no option {name!r}; accepted: {accepted}.")
    try:
        return make(host=host, **parts), width
    except TypeError as error:  # an option that has no default
        raise ValueError(f"{granularity}: {error}.") from error


def _places(
    model: nnx.Module, rules: Mapping[str, registry.Config]
) -> dict[tuple, str]:
    """The pattern of each module to gate, by its path, outer ones first.

    Raises:
        ValueError: If a pattern matches nothing, two match the same module, or a module
            or its name stands in several places.
    """
    paths = {tuple(path): path_name(path) for path, _ in nnx.iter_modules(model)}
    names = collections.Counter(paths.values())
    places: dict[tuple, str] = {}
    for pattern in rules:
        found = [path for path in paths if path and _matches(path, pattern)]
        if not found:
            raise ValueError(
                f"sparsify: no module matches {pattern!r}; there are "
                f"{', '.join(sorted(filter(None, names)))}."
            )
        for path in found:
            if path in places:
                raise ValueError(
                    f"sparsify: {paths[path]} matches {places[path]!r} and {pattern!r}."
                )
            if names[paths[path]] > 1:
                raise ValueError(
                    f"sparsify: {names[paths[path]]} modules are called {paths[path]}; "
                    f"bills tell modules apart by their names."
                )
            places[path] = pattern
            _check_unshared(model, path)
    return {path: places[path] for path in sorted(places, key=len)}


@contextlib.contextmanager
def _named(path: tuple, pattern: str):
    """Tells which module and rule an error is about, in one line."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())
        if not isinstance(error, ValueError):
            reason = f"{type(error).__name__}: {reason}"
        if len(reason) > _LONGEST_REASON:
            reason = f"{reason[:_LONGEST_REASON]} ..."
        raise ValueError(
            f"sparsify: {path_name(path)}, by the rule {pattern!r}: {reason}"
        ) from error


def _prove(host: nnx.Module, rule: dict[str, Any]):
    """Raises a ValueError if a rule would make another module of `host`."""
    shape = rule.pop("shape", None)
    if rule.get("scorer") is not None:  # one without weights, which is never asked
        rule["scorer"] = dict(name="evenly_spaced")
    prove(
        host,
        lambda copy: _built(copy, rule, nnx.Rngs(0, gate=1)),
        rebuilt=rebuilds(host, rule["granularity"]) if "granularity" in rule else False,
        shape=shape,
    )


def _structure(host: nnx.Module) -> tuple:
    """What two modules have in common that differ in the values of weights alone."""
    graphdef, state = nnx.split(host)
    kind = lambda x: (jnp.shape(x), getattr(x, "dtype", type(x)))
    return graphdef, [kind(x) for x in jax.tree.leaves(state)]


def _check_unshared(model: nnx.Module, path: tuple):
    """Raises a ValueError where one gate would have to decide in several places."""
    modules = (module for _, module in nnx.iter_modules(model))
    children = [child for part in modules for _, child in nnx.iter_children(part)]
    for depth in range(1, len(path) + 1):
        host = part_at(model, path[:depth])
        uses = sum(child is host for child in children)
        if uses > 1:
            raise ValueError(
                f"sparsify: {path_name(path[:depth])} is the same module in {uses} "
                "places; what is gated has a place of its own: copy it by nnx.clone "
                "first."
            )


def _matches(path: tuple, pattern: str) -> bool:
    names, wanted = list(map(str, path)), pattern.split("/")
    return len(names) == len(wanted) and all(map(fnmatch.fnmatchcase, names, wanted))
