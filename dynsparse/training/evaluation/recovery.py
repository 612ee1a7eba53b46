"""Scores of gates against the places of an input that are known to matter."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from dynsparse.gates import GateOutput
from dynsparse.models.base.images import PatchGrid
from dynsparse.tasks import Mean


@dataclasses.dataclass(frozen=True)
class Recovery:
    """Precision and recall of open places, beside what random ones reach.

    Attributes:
        precision: Share of the open places that matter, mean over the examples that
            open any.
        recall: Share of the places that matter that are open, over the share attainable
            with as many open ones; mean over the examples that open any.
        random_precision: Expected precision of as many random places.
        random_recall: Expected recall of as many random places.
    """

    precision: float
    recall: float
    random_precision: float
    random_recall: float


def recoveries(
    decisions: Mapping[str, GateOutput],
    relevant: Bool[Array, "batch *places"],
    weight: Float[Array, "batch"],
    grid: PatchGrid | None,
) -> dict[str, dict[str, Mean]]:
    """Returns the fields of `Recovery` as means, of each gate that decides by place.

    Args:
        decisions: By gate.
        relevant: Places of the inputs that matter.
        weight: Of the examples.
        grid: Where the tokens of the model lie on an image, if it has them; then
            `relevant` tells pixels.
    """
    true = relevant if grid is None else grid.mostly(relevant)
    others = 0 if grid is None else grid.others
    true = true.reshape(len(true), -1)
    places = others + true.shape[1]
    found = {}
    for name, decision in decisions.items():
        if decision.mask.shape[1:] in ((places,), (places, 1)):
            kept = decision.mask.reshape(len(true), -1)[:, others:] > 0
            found[name] = score_recovery(kept, true, weight)
    return found


def score_recovery(
    kept: Bool[Array, "batch places"],
    true: Bool[Array, "batch places"],
    weight: Float[Array, "batch"],
) -> dict[str, Mean]:
    """Scores decisions against the truth.

    Args:
        kept: Open places.
        true: Places that matter.
        weight: Of the examples.

    Returns:
        The fields of `Recovery`.
    """
    counts = weight * (kept.any(-1) & true.any(-1))
    found, num_kept, num_true = (x.sum(-1) for x in (kept & true, kept, true))
    attainable = jnp.maximum(jnp.minimum(num_kept, num_true), 1)
    share = num_true / true.shape[-1]  # expectation of a random place to matter
    values: dict[str, Any] = dict(
        precision=found / jnp.maximum(num_kept, 1),
        recall=found / attainable,
        random_precision=share,
        random_recall=num_kept * share / attainable,
    )
    return {name: Mean.of(value, counts) for name, value in values.items()}
