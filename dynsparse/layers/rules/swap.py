"""Puts gated layers in the places of the modules that they are made from."""

import contextlib
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar, cast

from flax import nnx

from dynsparse._internal.call import Call
from dynsparse._internal.paths import part_at, path_name, put_at
from dynsparse.layers.base.sharing import tie
from dynsparse.layers.proof.trial_values import usual_settings
from dynsparse.layers.rows.blocks import GatedBlock
from dynsparse.layers.rules.complete import of_one_layer
from dynsparse.layers.rules.gated import gated
from dynsparse.layers.rules.scanned import check_recorded, gated_layers
from dynsparse.layers.trace.rows.examples import Batch

Model = TypeVar("Model", bound=nnx.Module)

LONGEST_REASON = 400  # characters of an error of another library


class Proved(NamedTuple):
    """What is known of a module, once its gated layer is proved.

    Attributes:
        rule: The complete rule.
        batch: Where its examples lie, if they skip it.
        layers: As in `HeardCall`.
        inside: As in `HeardCall`.
    """

    rule: dict[str, Any]
    batch: Batch | None = None
    layers: int | None = None
    inside: bool = False


def swapped(
    model: Model,
    places: dict[tuple, str],
    found: Mapping[tuple, Proved],
    rngs: nnx.Rngs,
    example: Call | None = None,
) -> Model:
    """Puts gated layers into a model; unchanged where one cannot be built.

    Args:
        model: Changed in place.
        places: Pattern of each module, by path, outer ones first.
        found: What is known of each module, in the order of their calls.
        rngs: Streams `params` and `gate`.
        example: How the model is called; None where no module runs in a scan.

    Raises:
        ValueError: If one cannot be built, or its decisions would be lost.
    """
    before: dict[tuple, Any] = {}
    built: dict[tuple, Any] = {}
    root = model
    own = {path: of_one_layer(found[path].rule, model) for path in places}
    try:
        for path, pattern in reversed(places.items()):  # inner ones first
            host, layers = part_at(model, path), found[path].layers
            with named(path, pattern):
                if layers is None:
                    layer = gated(host, **own[path], rngs=rngs)
                else:
                    layer = gated_layers(host, layers, own[path], rngs)
                if isinstance(layer, GatedBlock):
                    layer.batch = found[path].batch
                built[path] = layer
                if path:
                    put_at(model, path, layer)
                    before[path] = host
                else:
                    root = cast(Model, layer)
        for pattern in dict.fromkeys(places.values()):
            together = [path for path in found if places[path] == pattern]
            shares = found[together[0]].rule.get("share", False)
            with named(together[0], pattern):
                tie([built[path] for path in together], shares)
        scanned = {path: each.layers for path, each in found.items() if each.inside}
        for path in [*scanned][:1]:
            with named(path, places[path]), usual_settings():
                check_recorded(root, scanned, cast(Call, example))
    except Exception:
        for path, host in reversed(before.items()):
            put_at(model, path, host)
        raise
    return root


@contextlib.contextmanager
def named(path: tuple, pattern: str):
    """Context that puts the module and the rule in front of an error, in one line."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())
        if not isinstance(error, ValueError):
            reason = f"{type(error).__name__}: {reason}"
        if len(reason) > LONGEST_REASON:
            reason = f"{reason[:LONGEST_REASON]} ..."
        front = f"{path_name(path) or 'the model'}, by the rule {pattern!r}"
        raise ValueError(f"sparsify: {front}: {reason}") from error
