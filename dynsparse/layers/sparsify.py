"""Gates a model that knows nothing of gates."""

import collections
import contextlib
import fnmatch
from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from dynsparse import gates
from dynsparse._internal import registry
from dynsparse._internal.paths import part_at, path_name, put_at
from dynsparse.layers.base import GatedLayer
from dynsparse.layers.fidelity import prove
from dynsparse.layers.granularities import GRANULARITIES
from dynsparse.layers.plain import rebuilds, take_over
from dynsparse.layers.scorers import make_scorer

Model = TypeVar("Model", bound=nnx.Module)

_LONGEST_REASON = 400  # characters of an error of another library


def sparsify(
    model: Model, rules: Mapping[str, registry.Config], *, rngs: nnx.Rngs
) -> Model:
    """Replaces modules of `model` by gated layers around them; the weights stay.

    Each layer is tried first, on random inputs: with every unit open it must give what
    the module gives, and with some units closed the others must give what they give
    alone. (Gated tokens return a pair: the host's output, zero at closed tokens, and
    the mask.)

    Args:
        model: Changed in place, unless a rule is refused.
        rules: One rule for each path pattern, such as "blocks/*/mlp", in which * stands
            for one part of a path. A rule has the keys `granularity`, one of
            `GRANULARITIES`, `gate` and `scorer` (none for "width") and the options of
            that layer, such as `num_blocks` or `num_tokens`; blocks, tokens, bypass and
            positions also need `width`, the features of their input, and features
            `num_codes`. Heads take an `nnx.MultiHeadAttention` that is called with its
            input alone. For a plain module in the role of an MLP or a pair of
            convolutions, a rule names all of its parts: `dict(up="fc1", down="fc2",
            activation=jax.nn.gelu)` or `dict(first="conv1", norm="bn1",
            second="conv2", activation=jax.nn.relu)`, where None is no norm. `shape` is
            the shape of one example of the module's input, for modules that take no
            other.
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
        ...     def __call__(self, x):
        ...         return self.fc2(jax.nn.relu(self.fc1(x)))
        >>> rule = dict(
        ...     granularity="neurons",
        ...     gate=dict(name="hard_topk", density=0.5),
        ...     scorer=dict(name="linear"),
        ...     num_blocks=2,
        ...     up="fc1",
        ...     down="fc2",
        ...     activation=jax.nn.relu,
        ... )
        >>> model = nnx.Sequential(Block(nnx.Rngs(0)))
        >>> model = layers.sparsify(model, {"layers/*": rule}, rngs=nnx.Rngs(1, gate=2))
        >>> type(model.layers[0]).__name__
        'GatedNeurons'
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
    """Builds the gated layer of a granularity around a host, without trying it.

    Args:
        host: The module to gate.
        granularity: One of `GRANULARITIES`.
        gate: Config of the gate.
        scorer: Config of the scorer, as in `make_scorer`.
        rngs: Streams `params` and `gate`.
        **options: Options of the layer, and `width` where the host does not tell it.

    Raises:
        ValueError: If a name, key or value is not accepted.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> layer = layers.gated(
        ...     layers.Mlp.create(width=4, hidden=8, rngs=rngs),
        ...     granularity="width",
        ...     gate=dict(name="hard_topk", density=0.5),
        ...     num_slices=4,
        ...     rngs=rngs,
        ... )
        >>> type(layer).__name__
        'GatedWidth'
    """
    rule = dict(granularity=granularity, gate=gate, scorer=scorer, **options)
    return _built(host, rule, rngs)[0]


def _built(
    host: Any, rule: Mapping[str, Any], rngs: nnx.Rngs
) -> tuple[GatedLayer, int]:
    """The gated layer of a rule, and the width of its input."""
    options = dict(rule)
    granularity, gate = options.pop("granularity", None), options.pop("gate", None)
    scorer = options.pop("scorer", None)
    if granularity not in GRANULARITIES:
        raise ValueError(
            f"granularity must be one of {tuple(GRANULARITIES)}, got {granularity!r}."
        )
    if gate is None:
        raise ValueError(f"{granularity} needs a gate.")
    row, given = GRANULARITIES[granularity], set(options)
    around = f"{granularity} around {type(host).__name__}"
    try:
        host = take_over(host, granularity, options)
        width = host.width if row.width is None else options.pop(row.width)
    except KeyError as error:
        raise ValueError(f"{around} needs {error}.") from error
    for name, needed in row.options.items():
        if needed and name not in given:
            raise ValueError(f"{around} needs {name!r}.")
    for name in options.keys() - row.options.keys():
        read = given - options.keys()  # for the host and the scorer
        accepted = sorted(row.options.keys() | read)
        raise ValueError(f"{granularity} has no option {name!r}; accepted: {accepted}.")
    make: Any = row.layer
    options["gate"] = gates.from_config(gate, rngs=rngs)
    if not row.scored:
        return make(host=host, **options), width
    if scorer is None:
        raise ValueError(f"{granularity} needs a scorer.")
    layer = make(host=host, scorer=nnx.Module(), **options)  # knows its units
    layer.scorer = make_scorer(
        scorer, make, width=width, num_units=layer.num_units, rngs=rngs
    )
    return layer, width


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
    """Context that puts the module and the rule in front of an error, in one line."""
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
    """Raises a ValueError if a rule would change what `host` computes."""
    shape = rule.pop("shape", None)
    if rule.get("scorer") is not None:  # without weights, since no test asks it
        rule["scorer"] = dict(name="evenly_spaced")
    prove(
        host,
        lambda copy: _built(copy, rule, nnx.Rngs(0, gate=1)),
        rebuilt=rebuilds(host, rule.get("granularity")),
        shape=shape,
    )


def _structure(host: nnx.Module) -> tuple:
    """The structure of a module: all but the values of its weights."""
    graphdef, state = nnx.split(host)
    kind = lambda x: (jnp.shape(x), getattr(x, "dtype", type(x)))
    return graphdef, [kind(x) for x in jax.tree.leaves(state)]


def _check_unshared(model: nnx.Module, path: tuple):
    """Raises a ValueError if one gate would have to decide in several places."""
    modules = (module for _, module in nnx.iter_modules(model))
    children = [child for part in modules for _, child in nnx.iter_children(part)]
    for depth in range(1, len(path) + 1):
        host = part_at(model, path[:depth])
        uses = sum(child is host for child in children)
        if uses > 1:
            raise ValueError(
                f"sparsify: {path_name(path[:depth])} is the same module in {uses} "
                "places, but a gated module stands in one place: copy it with "
                "nnx.clone first."
            )


def _matches(path: tuple, pattern: str) -> bool:
    names, wanted = list(map(str, path)), pattern.split("/")
    return len(names) == len(wanted) and all(map(fnmatch.fnmatchcase, names, wanted))
