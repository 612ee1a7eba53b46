"""A ladder under a load: by the controller, and on each rung alone."""

import csv
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from flax import nnx

from dynsparse.budgets import density_map, has_density
from dynsparse.costs import Prices, largest_density
from dynsparse.serving.examples import Batch, Inputs, Labelled
from dynsparse.serving.ladder import Ladder
from dynsparse.serving.load import PROFILES, arrivals
from dynsparse.serving.replay import FIELDS, Requests, Row, here, replay

PATIENCE = 3  # medians of the top rung in which a request is to be answered
_HALVINGS = 20  # of the budgets among which that of a density is sought


def build_ladder(
    model: nnx.Module,
    prices: Prices,
    examples: Batch,
    *,
    rungs: int,
    size: int,
    lowest: float,
    least_density: float,
    labelled: Labelled,
    inputs: Sequence[Inputs] = (),
    watch: Callable[[str], None] = lambda words: None,
) -> Ladder:
    """A ladder from a lowest budget to all of the model.

    Args:
        model: Any model with gated layers.
        prices: Of it.
        examples: Real inputs, to measure with.
        rungs: At least 2. Their budgets have equal ratios, and so about the times.
        size: Examples per pass.
        lowest: Fraction of the dense MACs, in (0, 1); where the least density spends
            more, the ladder starts there.
        least_density: As in `Ladder.compile`.
        labelled: Likewise.
        inputs: Likewise.
        watch: Likewise.
    """
    start = max(lowest, _spent_at(model, prices, least_density))
    return Ladder.compile(
        model,
        examples=examples,
        budgets=np.geomspace(min(start, 1.0), 1.0, rungs).tolist(),
        batch_sizes=(size,),
        inputs=inputs,
        labelled=labelled,
        least_density=least_density,
        watch=watch,
    )


def _spent_at(model: nnx.Module, prices: Prices, density: float) -> float:
    """The least budget that buys a density of top-k gates, from above."""
    low, high = min(prices.floor / prices.dense, 1.0), 1.0
    if not has_density(model):
        return min(1.1 * low, 1.0)
    spread = density_map(model)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = largest_density(prices, middle, spread) >= density
        low, high = (low, middle) if enough else (middle, high)
    return high


def group(inputs: Batch, labels: np.ndarray, *, size: int, deadline: float) -> Requests:
    """Requests of `size` examples each, as many as the data fills."""
    number = len(inputs) // size
    cut = lambda x: np.asarray(x)[: number * size].reshape(number, size, *x.shape[1:])
    return Requests(list(cut(inputs)), cut(labels), deadline)


def try_policies(
    ladder: Ladder,
    requests: Requests,
    *,
    load: str,
    seconds: float,
    seed: int,
    rounds: int = 1,
    rungs: Sequence[int] | None = None,
    source: Callable = here,
    watch: Callable[[Row], None] = lambda row: None,
    stopped: Callable[[], bool] = lambda: False,
):
    """Replays one load once per round and policy.

    In each round another policy comes first, so that what slows the machine for a while
    is nobody's fault.

    Args:
        ladder: What answers.
        requests: What is asked.
        load: One of `PROFILES`, 1 being what the top rung can just serve.
        seconds: Of each replay.
        seed: Of the arrivals: those of a round are the same for all policies.
        rounds: At least 1.
        rungs: That the controller chooses from, as in `Runtime`.
        source: `replay.here` or `replay.from_process`.
        watch: Called with each row, and its "round", as soon as it is there.
        stopped: Whether to end where it is.
    """
    size = len(requests.inputs[0])
    top = len(ladder.rungs) - 1
    capacity = 1 / ladder.seconds(top, size)
    policies = [None, *reversed(range(len(ladder.rungs)))]
    for number in range(rounds):
        times = arrivals(
            PROFILES[load], capacity=capacity, seconds=seconds, seed=seed + number
        )
        first = number % len(policies)
        for pinned in policies[first:] + policies[:first]:
            if stopped():
                return
            replay(
                ladder,
                requests,
                times,
                pinned=pinned,
                rungs=rungs,
                source=source,
                watch=lambda row, number=number: watch(dict(row, round=number)),
                stopped=stopped,
            )


def write_rows(path: pathlib.Path, rows: Sequence[Mapping[str, Any]]):
    """Writes serving.csv."""
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ("round", *FIELDS))
        table.writeheader()
        table.writerows(rows)
