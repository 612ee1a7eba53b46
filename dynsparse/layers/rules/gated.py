"""Builds the gated layer of a granularity around a host."""

from typing import Any

from flax import nnx

from dynsparse import gates
from dynsparse._internal import registry
from dynsparse._internal.suggest import did_you_mean
from dynsparse.layers.base.gated_layer import GatedLayer
from dynsparse.layers.rules.granularities import GRANULARITIES, options_of, takes_scorer
from dynsparse.layers.scorers import make_scorer


def gated(
    host: Any,
    *,
    granularity: str | None = None,
    gate: registry.Config | None = None,
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
        **options: Options of the layer, and `width`, the features of the input. A host
            tells what is left out by an attribute of that name.

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
    if granularity not in GRANULARITIES:
        raise ValueError(
            f"granularity must be one of {tuple(GRANULARITIES)}, got {granularity!r}"
            f"{did_you_mean(str(granularity), GRANULARITIES)}"
        )
    if gate is None:
        raise ValueError(f"{granularity} needs a gate.")
    row = GRANULARITIES[granularity]
    make: Any = row.layer_of(host)
    known = options_of(make)
    around = f"{granularity} around {type(host).__name__}"
    needed = [name for name, needs in known.items() if needs]
    for name in [*needed, row.width]:
        if name not in options and not hasattr(host, name):
            raise ValueError(f"{around} needs {name!r}.")
        options.setdefault(name, getattr(host, name, None))
    width = options.pop(row.width)
    for name in options.keys() - known.keys():
        accepted = sorted([*known, row.width])
        raise ValueError(f"{granularity} has no option {name!r}; accepted: {accepted}.")
    options["gate"] = gates.from_config(gate, rngs=rngs)
    needs_scorer = takes_scorer(make)
    if scorer is None and needs_scorer:
        raise ValueError(f"{granularity} needs a scorer.")
    if scorer is None or needs_scorer is None:
        return make(host=host, **options)
    layer = make(host=host, scorer=nnx.Module(), **options)  # knows its units
    layer.scorer = make_scorer(
        scorer, make, width=width, num_units=layer.num_units, rngs=rngs
    )
    return layer
