"""A ladder under a load: by the controller, and on each rung alone."""

import csv
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from flax import nnx

from dynsparse.costs import Prices
from dynsparse.serving.ladder import Batch, Inputs, Ladder
from dynsparse.serving.load import PROFILES, arrivals
from dynsparse.serving.replay import FIELDS, Requests, Row, here, replay

PATIENCE = 3  # medians of the top rung in which a request is to be answered


def build_ladder(
    model: nnx.Module,
    prices: Prices,
    examples: Batch,
    *,
    rungs: int,
    size: int,
    lowest: float,
    inputs: Sequence[Inputs] = (),
) -> Ladder:
    """A ladder from a lowest budget to all of the model.

    Args:
        model: Any model with gated layers.
        prices: Of it.
        examples: Real inputs, to measure with.
        rungs: At least 2. Their budgets have equal ratios, and so about the times.
        size: Examples per pass.
        lowest: Fraction of the dense MACs, in (0, 1); where the floor of the model is
            above it, the ladder starts just above that.
        inputs: Batches of the training, as in `Ladder.compile`.
    """
    floor = min(1.1 * prices.floor / prices.dense, 0.95)
    budgets = np.geomspace(max(lowest, floor), 1.0, rungs).tolist()
    return Ladder.compile(
        model, examples=examples, budgets=budgets, batch_sizes=(size,), inputs=inputs
    )


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
    source: Callable = here,
    watch: Callable[[Row], None] = lambda row: None,
    stopped: Callable[[], bool] = lambda: False,
):
    """Replays one load once per policy, the controller first.

    Args:
        ladder: What answers.
        requests: What is asked.
        load: One of `PROFILES`, 1 being what the top rung can just serve.
        seconds: Of each replay.
        seed: Of the arrivals, the same for all policies.
        source: `replay.here` or `replay.from_process`.
        watch: Called with each row as soon as it is there.
        stopped: Whether to end where it is.
    """
    size = len(requests.inputs[0])
    top = len(ladder.rungs) - 1
    times = arrivals(
        PROFILES[load],
        capacity=1 / ladder.seconds(top, size),
        seconds=seconds,
        seed=seed,
    )
    for pinned in (None, *reversed(range(len(ladder.rungs)))):
        if stopped():
            return
        replay(
            ladder,
            requests,
            times,
            pinned=pinned,
            source=source,
            watch=watch,
            stopped=stopped,
        )


def write_rows(path: pathlib.Path, rows: Sequence[Mapping[str, Any]]):
    """Writes serving.csv."""
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, FIELDS)
        table.writeheader()
        table.writerows(rows)
