"""From a config to the scorer that fits a layer."""

from collections.abc import Callable
from typing import Any

from flax import nnx

from dynsparse._internal import registry
from dynsparse.layers.base import GatedLayer
from dynsparse.layers.scorers import (
    FieldScorer,
    PooledScorer,
    RowScorer,
    UnitScorer,
)
from dynsparse.layers.simple_scorers import (
    ConfidenceScorer,
    EvenlySpacedScorer,
    MagnitudeScorer,
    StaticScorer,
)


def make_scorer(
    config: registry.Config,
    layer: type[GatedLayer],
    *,
    width: int,
    num_units: int,
    rngs: nnx.Rngs,
) -> nnx.Module:
    """Builds the scorer that `config` names, for the score axis of `layer`.

    Args:
        config: `name` and its keys. "linear": a linear map. "mlp": a network with
            `hidden` units. "any_budget": the same, told the density. "static": learned
            scores that do not look at the input. "evenly_spaced": fixed ones.
            "magnitude": norms of units that have features of their own. "confidence",
            for exits: `threshold` and `sharpness`.
        layer: The class of the gated layer.
        width: Features of the layer's input; of fields, the number of codes.
        num_units: Units that the layer's gate decides over.
        rngs: Initialises from the `params` stream.

    Raises:
        ValueError: If the name or a key is unknown or missing, or the layer's
            units do not have what the scorer reads.
    """
    settings = dict(config)
    name = settings.pop("name", None)
    if name not in _SCORERS:
        wrong = "needs the key 'name'" if name is None else f"unknown name {name!r}"
        raise ValueError(f"scorer: {wrong}; accepted: {', '.join(_SCORERS)}")
    wanted, axes, make = _SCORERS[name]
    if settings.keys() != wanted:
        raise ValueError(
            f"scorer: {name} takes the keys {sorted(wanted)}, got {sorted(settings)}"
        )
    if settings.get("hidden", 1) < 1:
        raise ValueError(f"scorer: hidden must be at least 1, got {settings['hidden']}")
    if layer.score_axis not in axes:
        raise ValueError(
            f"scorer: {name} needs {_READS[name]}, which a unit of {layer.__name__} "
            f"({layer.unit}) has not."
        )
    sizes = dict(width=width, num_units=num_units, rngs=rngs)
    return make(layer.score_axis, **sizes, **settings)


def _network(axis: str, *, width: int, num_units: int, **options: Any) -> nnx.Module:
    if axis == "units":
        return UnitScorer(width=width, **options)
    kinds = dict(fields=FieldScorer, rows=RowScorer)
    kind: Any = kinds.get(axis, PooledScorer)
    return kind(width=width, num_units=num_units, **options)


def _linear(axis: str, **sizes: Any) -> nnx.Module:
    return _network(axis, hidden=None, **sizes)


def _any_budget(axis: str, **options: Any) -> nnx.Module:
    return _network(axis, reads_density=True, **options)


def _static(axis: str, *, width: int, num_units: int, rngs: nnx.Rngs) -> nnx.Module:
    del width
    return StaticScorer(num_units=num_units, by_row=axis == "rows", rngs=rngs)


def _evenly_spaced(
    axis: str, *, width: int, num_units: int, rngs: nnx.Rngs
) -> nnx.Module:
    del width, rngs
    known = None if axis in ("units", "fields") else num_units
    return EvenlySpacedScorer(num_units=known, by_row=axis == "rows")


def _magnitude(axis: str, **sizes: Any) -> nnx.Module:
    del axis, sizes
    return MagnitudeScorer()


def _confidence(
    axis: str, *, threshold: float, sharpness: float, **sizes: Any
) -> nnx.Module:
    del axis, sizes
    return ConfidenceScorer(threshold=threshold, sharpness=sharpness)


_ANY_AXIS = {"units", "fields", "example", "answer", "rows"}
# By name: its keys, the score axes that it is for, and how it is made.
_SCORERS: dict[str, tuple[set[str], set[str], Callable[..., nnx.Module]]] = dict(
    linear=(set(), _ANY_AXIS, _linear),
    mlp=({"hidden"}, _ANY_AXIS, _network),
    any_budget=({"hidden"}, _ANY_AXIS, _any_budget),
    static=(set(), _ANY_AXIS, _static),
    evenly_spaced=(set(), _ANY_AXIS, _evenly_spaced),
    magnitude=(set(), {"units"}, _magnitude),
    confidence=({"threshold", "sharpness"}, {"answer"}, _confidence),
)
_READS = dict(magnitude="units with features of their own", confidence="an answer")
