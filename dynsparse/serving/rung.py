"""One budget of a ladder, and which of them are worth choosing."""

import dataclasses
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Rung:
    """One budget of a model, measured on this machine.

    Attributes:
        density: Of the top-k gates together; None for gates of a varying count.
        budget: MACs that it spends, as a fraction of the dense ones: exactly where
            every gate fixes its count, else the mean over the examples of `compile`.
        seconds: Median time of one pass, by batch size.
        peak_bytes: Most memory that a pass needs, its parameters included, by batch
            size.
        accuracy: Share of right classes on labelled examples that chose nothing, in
            [0, 1]; None where there were none.
    """

    density: float | None
    budget: float
    seconds: Mapping[int, float]
    peak_bytes: Mapping[int, int]
    accuracy: float | None = None


def front(
    rungs: Sequence[Rung], size: int, least_accuracy: float = 0.0
) -> tuple[int, ...]:
    """The rungs on the Pareto front, as `Ladder.front` says.

    Args:
        rungs: Of a ladder.
        size: Batch size whose seconds are compared.
        least_accuracy: That each must have, in [0, 1].

    Raises:
        ValueError: If no rung has the least accuracy, none was measured, or it is no
            fraction.
    """
    if not 0 <= least_accuracy <= 1:
        raise ValueError(f"least_accuracy must be in [0, 1], got {least_accuracy}.")
    accuracy = [rung.accuracy for rung in rungs if rung.accuracy is not None]
    if len(accuracy) < len(rungs):
        if least_accuracy > 0:
            raise ValueError(
                f"least_accuracy {least_accuracy:g}: the ladder was compiled without "
                "labelled examples, on which accuracy is measured."
            )
        return tuple(range(len(rungs)))
    found, best = [], -1.0
    pace = lambda index: (rungs[index].seconds[size], -accuracy[index], index)
    for index in sorted(range(len(rungs)), key=pace):
        if accuracy[index] > best:
            best = accuracy[index]
            found.append(index)
    chosen = tuple(index for index in found if accuracy[index] >= least_accuracy)
    if not chosen:
        raise ValueError(
            f"least_accuracy {least_accuracy:g}: no rung has it, the best has "
            f"{best:.4f} on validation."
        )
    return chosen
