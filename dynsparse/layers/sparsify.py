"""Gates a model that knows nothing of gates."""

import fnmatch
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flax import nnx

from dynsparse import gates, lookup
from dynsparse.layers.attention import Attention
from dynsparse.layers.base import GatedLayer
from dynsparse.layers.blocks import GatedBlock
from dynsparse.layers.bypass import BypassedTokens
from dynsparse.layers.channels import ConvPair, GatedChannels
from dynsparse.layers.expert_choice import ExpertChoice
from dynsparse.layers.experts import GatedExperts
from dynsparse.layers.features import GatedFeatures
from dynsparse.layers.heads import GatedHeads
from dynsparse.layers.make_scorer import make_scorer
from dynsparse.layers.mlp import Mlp
from dynsparse.layers.neurons import GatedNeurons
from dynsparse.layers.positions import GatedPositions
from dynsparse.layers.tokens import GatedTokens
from dynsparse.layers.width import GatedWidth
from dynsparse.paths import path_name

Model = TypeVar("Model", bound=nnx.Module)

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
    model: Model, rules: Mapping[str, lookup.Config], *, rngs: nnx.Rngs
) -> Model:
    """Replaces modules of `model` by gated ones around them; weights stay.

    Args:
        model: Changed in place.
        rules: By path pattern, such as "blocks/*/mlp", in which * stands for one part
            of a path. A rule has the keys `granularity`, `gate` and `scorer` (none for
            "width") and the options of that layer, such as `num_blocks` or
            `num_tokens`; blocks, tokens, bypass and positions also need `width`, the
            features of their input, and features `num_codes`. Heads take an
            `nnx.MultiHeadAttention` that is called with its input alone. Where a plain
            module stands in for an MLP or a pair of convolutions, all of its parts are
            named, `dict(up="fc1", down="fc2", activation=jax.nn.gelu)` or
            `dict(first="conv1", norm="bn1", second="conv2", activation=jax.nn.relu)`,
            where None is no norm.
        rngs: Streams `params` and `gate`, for scorers and gates.

    Returns:
        `model`.

    Raises:
        ValueError: If a rule matches nothing, two match the same module, a module is
            used in several places, or a granularity, gate or option is not accepted.
    """
    paths = [path_name(path) for path, _ in nnx.iter_modules(model)]
    taken: dict[str, str] = {}
    for pattern in rules:
        found = [path for path in paths if path and _matches(path, pattern)]
        if not found:
            raise ValueError(
                f"sparsify: no module matches {pattern!r}; there are "
                f"{', '.join(sorted(filter(None, paths)))}."
            )
        for path in found:
            if path in taken:
                raise ValueError(
                    f"sparsify: {path} matches {taken[path]!r} and {pattern!r}."
                )
            taken[path] = pattern
            _check_unshared(model, path)
    for path, pattern in sorted(taken.items(), reverse=True):  # inner ones first
        parent, name = _parent(model, path)
        layer = gated(_child(parent, name), **dict(rules[pattern]), rngs=rngs)
        if isinstance(name, int):
            parent[name] = layer
        else:
            setattr(parent, name, layer)
    return model


def gated(
    host: nnx.Module,
    *,
    granularity: str,
    gate: lookup.Config,
    scorer: lookup.Config | None = None,
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
    if granularity not in GRANULARITIES:
        raise ValueError(
            f"granularity must be one of {tuple(GRANULARITIES)}, got {granularity!r}."
        )
    (kind, sizes), given = GRANULARITIES[granularity], set(options)
    try:
        host = _known(host, options)
        width, num_units = sizes(host, options)
    except (KeyError, AttributeError) as error:
        raise ValueError(
            f"sparsify: {granularity} around {type(host).__name__} needs {error}."
        ) from error
    parts: dict[str, Any] = dict(gate=gates.from_config(gate, rngs=rngs), **options)
    if kind is not GatedWidth:
        if scorer is None:
            raise ValueError(f"sparsify: {granularity} needs a scorer.")
        parts["scorer"] = make_scorer(
            scorer, kind, width=width, num_units=num_units, rngs=rngs
        )
    make: Any = kind
    own = inspect.signature(kind.__init__).parameters.keys()
    for name in options.keys() - own:
        read = given - options.keys()  # for the host and the scorer
        accepted = sorted(own - {"self", "host", "gate", "scorer"} | read)
        raise ValueError(
            f"sparsify: {granularity} has no option {name!r}; accepted: {accepted}."
        )
    return make(host=host, **parts)


def _known(host: Any, options: dict[str, Any]) -> nnx.Module:
    """The host as layers know it, with the weights of the plain module that it was."""
    if isinstance(host, nnx.MultiHeadAttention):
        return Attention.from_flax(host)
    for kind, first in ((Mlp, "up"), (ConvPair, "first")):
        if first in options:
            # All of them: what a plain module does without would change silently.
            names = inspect.signature(kind.__init__).parameters.keys() - {"self"}
            own = {key: options.pop(key) for key in sorted(names)}
            make: Any = kind
            return make(
                **{
                    key: getattr(host, value) if isinstance(value, str) else value
                    for key, value in own.items()
                }
            )
    return host


def _check_unshared(model: nnx.Module, path: str):
    """Raises a ValueError where one gate would have to decide in several places."""
    modules = (module for _, module in nnx.iter_modules(model))
    children = [child for part in modules for _, child in nnx.iter_children(part)]
    names = path.split("/")
    for depth in range(1, len(names) + 1):
        part = "/".join(names[:depth])
        host = _child(*_parent(model, part))
        uses = sum(child is host for child in children)
        if uses > 1:
            raise ValueError(
                f"sparsify: {part} is the same module in {uses} places; what is gated "
                "has a place of its own: copy it by nnx.clone first."
            )


def _matches(path: str, pattern: str) -> bool:
    names, wanted = path.split("/"), pattern.split("/")
    return len(names) == len(wanted) and all(map(fnmatch.fnmatchcase, names, wanted))


def _parent(model: nnx.Module, path: str) -> tuple[Any, str | int]:
    *outer, last = (int(name) if name.isdigit() else name for name in path.split("/"))
    parent: Any = model
    for name in outer:
        parent = _child(parent, name)
    return parent, last


def _child(parent: Any, name: str | int) -> Any:
    return parent[name] if isinstance(name, int) else getattr(parent, name)
