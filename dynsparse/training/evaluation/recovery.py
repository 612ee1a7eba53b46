"""Scores of a gate over image patches against the true place of the object."""

import dataclasses

import numpy as np
from jaxtyping import Bool

from dynsparse.models.base.images import PatchGrid


@dataclasses.dataclass(frozen=True)
class Recovery:
    """Precision and recall of open patches, beside what random patches reach.

    Attributes:
        precision: Share of the open patches that are true, mean over the examples that
            open any.
        recall: Share of the true patches that are open, over the share attainable with
            as many open patches; mean over the examples that open any.
        random_precision: Expected precision of as many random patches.
        random_recall: Expected recall of as many random patches.
    """

    precision: float
    recall: float
    random_precision: float
    random_recall: float


def true_patches(
    best_mask: Bool[np.ndarray, "n height width"], grid: PatchGrid
) -> Bool[np.ndarray, "n units"]:
    """Patches at least half of which lies on the object, row by row.

    Args:
        best_mask: Pixels of the object.
        grid: Places of the patches.
    """
    n, height, width = best_mask.shape
    rows, columns, patch, _ = grid
    overhang = ((0, 0), (0, rows * patch - height), (0, columns * patch - width))
    cells = np.pad(best_mask, overhang).reshape(n, rows, patch, columns, patch)
    return (cells.mean((2, 4)) >= 0.5).reshape(n, -1)


def score_recovery(
    kept: Bool[np.ndarray, "n units"], true: Bool[np.ndarray, "n units"]
) -> Recovery:
    """Scores decisions against `true_patches`."""
    some = kept.any(-1) & true.any(-1)
    if not some.any():
        return Recovery(*[float("nan")] * 4)
    kept, true = kept[some], true[some]
    found = (kept & true).sum(-1)
    num_kept, num_true = kept.sum(-1), true.sum(-1)
    attainable = np.minimum(num_kept, num_true)
    share = num_true / true.shape[-1]  # expectation of a random patch being true
    return Recovery(
        precision=float((found / num_kept).mean()),
        recall=float((found / attainable).mean()),
        random_precision=float(share.mean()),
        random_recall=float((num_kept * share / attainable).mean()),
    )
