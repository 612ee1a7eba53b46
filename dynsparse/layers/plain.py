"""Plain modules of Flax in the form that gated layers take apart."""

import inspect
from typing import Any

import jax
from flax import nnx

from dynsparse.layers.attention import Attention
from dynsparse.layers.channels import ConvPair
from dynsparse.layers.granularities import GRANULARITIES
from dynsparse.layers.mlp import Mlp
from dynsparse.layers.slices import check_plain

_PARTS: dict[type[nnx.Module], dict[str, type[nnx.Module]]] = {
    Mlp: dict(up=nnx.Linear, down=nnx.Linear),
    ConvPair: dict(first=nnx.Conv, second=nnx.Conv, norm=nnx.BatchNorm),
}


def rebuilds(host: nnx.Module, granularity: str | None) -> bool:
    """Whether a layer of this granularity rebuilds `host` from its parts."""
    row = GRANULARITIES.get(granularity or "")
    return row is not None and row.host is not None and not isinstance(host, row.host)


def take_over(host: nnx.Module, granularity: str, options: dict[str, Any]) -> Any:
    """Puts a host into the form that its layer takes apart; the weights stay.

    Args:
        host: A module of this library, or a plain one.
        granularity: One of `GRANULARITIES`.
        options: Options of the rule; the names of parts are taken out of it.

    Raises:
        KeyError: If some parts of a plain module are named and one is not.
        ValueError: If the layer cannot take `host` apart.
    """
    kind: Any = GRANULARITIES[granularity].host
    if kind is Attention and isinstance(host, nnx.MultiHeadAttention):
        return _attention(host)
    if kind in _PARTS and _PARTS[kind].keys() & options.keys():
        # All of them: what a plain module does without would change silently.
        names = inspect.signature(kind.__init__).parameters.keys() - {"self"}
        own = {name: options.pop(name) for name in sorted(names)}
        return kind(**_named(host, own, _PARTS[kind]))
    if kind is not None and not isinstance(host, kind):
        raise ValueError(
            f"{granularity} around {type(host).__name__} needs {_wanted(kind)}."
        )
    return host


def _wanted(kind: type[nnx.Module]) -> str:
    if kind is Attention:
        return "an nnx.MultiHeadAttention or layers.Attention"
    if kind not in _PARTS:
        return f"layers.{kind.__name__}"
    names = inspect.signature(kind.__init__).parameters.keys() - {"self"}
    return f"the names of its parts: {', '.join(sorted(names))}"


def _attention(host: nnx.MultiHeadAttention) -> Attention:
    """The attention with the weights of Flax's own."""
    check_plain(host, nnx.MultiHeadAttention)
    for part in (host.query, host.key, host.value, host.out):
        check_plain(part, nnx.LinearGeneral)
    return Attention.from_flax(host)


def _named(
    host: nnx.Module, own: dict[str, Any], kinds: dict[str, type[nnx.Module]]
) -> dict[str, Any]:
    """The parts of a plain module, under the names that our class gives them.

    Raises:
        ValueError: If a part does not exist, is of another kind, or is not named.
    """
    around = type(host).__name__
    parts = dict(own)
    for role, name in own.items():
        if isinstance(name, str):
            if not hasattr(host, name):
                raise ValueError(f"{around} has no part {name!r}, named as its {role}.")
            parts[role] = getattr(host, name)
        elif role in kinds and not (role == "norm" and name is None):
            raise ValueError(
                f"{role} is the name of a part of {around}, got {name!r:.60}."
            )
        another_norm = role == "norm" and not isinstance(parts[role], nnx.BatchNorm)
        if role in kinds and not another_norm:  # of which `ConvPair` says more
            try:
                check_plain(parts[role], kinds[role])
            except ValueError as error:
                raise ValueError(f"{around}, {role}={name!r}: {error}") from error
    if not callable(parts["activation"]):
        raise ValueError(f"activation must be callable, got {own['activation']!r:.60}.")
    known = {id(variable) for part in parts.values() for variable in _variables(part)}
    lost = [
        name
        for name, part in vars(host).items()
        if any(id(variable) not in known for variable in _variables(part))
    ]
    if lost:
        raise ValueError(
            f"{around} has more parts than the rule names, which would be lost: "
            f"{', '.join(sorted(lost))}."
        )
    return parts


def _variables(part: Any) -> list[nnx.Variable]:
    """The Variables of a part, without those of random streams."""
    leaves = jax.tree.leaves(
        part, is_leaf=lambda x: isinstance(x, nnx.Variable | nnx.Module)
    )
    found = []
    for leaf in leaves:
        if isinstance(leaf, nnx.Variable):
            found.append(leaf)
        elif isinstance(leaf, nnx.Module):
            found += [x for _, x in nnx.iter_graph(leaf) if isinstance(x, nnx.Variable)]
    return [variable for variable in found if not isinstance(variable, nnx.RngState)]
