"""The rungs of a ladder, and the choice of those worth using."""

import dataclasses
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rung:
    """One budget of a model, measured on this machine.

    Attributes:
        budget: MACs that a pass spends, as a fraction of the dense MACs: exact where
            every gate opens a fixed count, otherwise the mean over the examples that
            the ladder was compiled with.
        seconds: Median time of one pass, by batch size.
        peak_bytes: Peak memory of one pass, its parameters included, by batch size.
        density: Density of the top-k gates, in [0, 1]; None for gates of a varying
            count.
        score: Of held-out examples, such as the share of right answers, in [0, 1]; None
            if it was not measured.

    >>> serving.Rung(budget=0.5, seconds={1: 0.01}).score is None
    True
    """

    budget: float
    seconds: Mapping[int, float]
    peak_bytes: Mapping[int, int] = dataclasses.field(default_factory=dict)
    density: float | None = None
    score: float | None = None


def front(
    rungs: Sequence[Rung], size: int, least_score: float = 0.0
) -> tuple[int, ...]:
    """Returns the rungs on the Pareto front of time and score, by rising score.

    Args:
        rungs: Rungs of a ladder.
        size: Batch size at which seconds are compared.
        least_score: Score that each returned rung has at least, in [0, 1].

    Returns:
        Indices; all of them where it was not measured.

    Raises:
        ValueError: If no rung has the least score, none was measured, or
            `least_score` is out of range.
    """
    if not 0 <= least_score <= 1:
        raise ValueError(f"least_score must be in [0, 1], got {least_score}.")
    score = [rung.score for rung in rungs if rung.score is not None]
    if len(score) < len(rungs):
        if least_score > 0:
            raise ValueError(
                f"least_score {least_score:g}: the ladder was compiled without "
                "held-out examples, on which it is measured."
            )
        return tuple(range(len(rungs)))
    found, best = [], -1.0
    pace = lambda index: (rungs[index].seconds[size], -score[index], index)
    for index in sorted(range(len(rungs)), key=pace):
        if score[index] > best:
            best = score[index]
            found.append(index)
    chosen = tuple(index for index in found if score[index] >= least_score)
    if not chosen:
        raise ValueError(
            f"least_score {least_score:g}: no rung has it, the best has "
            f"{best:.4f} on validation."
        )
    return chosen
