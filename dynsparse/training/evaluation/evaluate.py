"""Evaluation over a split: scores, and what the gates did, added up batch by batch."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, PyTree

from dynsparse.costs import Bill, itemize_counts
from dynsparse.data import Source, read_batch
from dynsparse.gates import GateOutput
from dynsparse.models.base.images import PatchGrid
from dynsparse.tasks import Batch, Mean, Task, weights
from dynsparse.training.evaluation.counters import Counters, count
from dynsparse.training.evaluation.forward import (
    Forward,
    compile_forward,
    evaluation_key,
)
from dynsparse.training.evaluation.recovery import Recovery, recoveries
from dynsparse.training.prepare import PreparedRun
from dynsparse.training.step import State


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Scores of a model over a split, and the decisions of its gates.

    Attributes:
        scores: Those of the task, by name.
        score: The one that is the metric of the task.
        loss: Mean loss.
        num_examples: Number of examples.
        gates: What each gate opened, by its path.
        recovery: Each gate that decides by place against the truth, where the task
            knows it.
        groups: Group of each example; None where the task has none.
        shown: Outputs, and masks by gate, of the first examples, as many as asked for.
    """

    scores: dict[str, float]
    score: float
    loss: float
    num_examples: int
    gates: dict[str, Counters]
    recovery: dict[str, Recovery]
    groups: Int[np.ndarray, "n"] | None
    shown: tuple[PyTree, dict[str, np.ndarray]]

    @property
    def counts(self) -> dict[str, Int[np.ndarray, "n"]]:
        """Number of open units of each example, by gate."""
        return {name: gate.opened for name, gate in self.gates.items()}


def evaluate(
    forward: Forward,
    prepared: PreparedRun,
    state: State,
    source: Source,
    *,
    density: float | None = None,
    shows: int = 0,
) -> Evaluation:
    """Runs `forward` over all of a source, the last batch padded.

    Random decisions depend on the seed of the run and the place in the source: every
    pass replays them, and another seed draws anew, as intervals over seeds assume.

    Args:
        forward: Forward pass from `compile_forward`.
        prepared: Run, for its task and the size of a batch.
        state: State with the parameters and the key of the run.
        source: Examples to answer.
        density: Density of top-k gates in masked execution, in [0, 1]; None leaves
            that of the state.
        shows: How many examples to keep outputs and masks of.
    """
    task, size = prepared.task, prepared.settings.evaluation.batch_size
    key, sums, groups, shown = evaluation_key(state), None, [], []
    parts: dict[str, list[Counters]] = {}
    for start in range(0, len(source), size):
        batch = padded(source, start, size)
        outputs, decisions = forward(
            state, batch, jax.random.fold_in(key, start), density
        )
        if start < shows:
            shown.append((outputs, {n: d.mask for n, d in decisions.items()}))
        means, counts, group = jax.device_get(
            _reduced(task, prepared.grid, outputs, decisions, batch)
        )
        means = jax.tree.map(np.float64, means)
        sums = means if sums is None else jax.tree.map(np.add, sums, means)
        groups.append(group)
        for name, fields in counts.items():
            parts.setdefault(name, []).append(Counters.from_arrays(**fields))
    if sums is None:
        raise ValueError("evaluation needs at least one example, got none.")
    values = jax.tree.map(_value, sums, is_leaf=_is_mean)
    scores = dict(task.finish(values["scores"]))
    if task.metric not in scores:
        raise ValueError(
            f"task: its metric {task.metric!r} is none of its scores, {sorted(scores)}."
        )
    number = len(source)
    return Evaluation(
        scores=scores,
        score=scores[task.metric],
        loss=values["loss"],
        num_examples=number,
        gates={name: Counters.join(part, number) for name, part in parts.items()},
        recovery={n: Recovery(**part) for n, part in values["recovery"].items()},
        groups=None if task.groups is None else np.concatenate(groups)[:number],
        shown=_first(shown, min(shows, number)),
    )


def padded(source: Source, start: int, size: int) -> Batch:
    """Returns a batch of exactly `size` examples, padded with the first ones.

    Args:
        source: Examples.
        start: Number of the first one.
        size: Examples of the batch.

    Returns:
        The batch, with `weight` 0 for padding.
    """
    numbers = np.arange(start, start + size)
    batch = read_batch(source, numbers % len(source))
    known = batch.get("weight", np.ones(size, np.float32))
    return batch | dict(weight=known * (numbers < len(source)).astype(np.float32))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _reduced(
    task: Task,
    grid: PatchGrid | None,
    outputs: PyTree,
    decisions: Mapping[str, GateOutput],
    batch: Batch,
) -> tuple[dict[str, Any], dict[str, dict[str, jax.Array]], jax.Array | None]:
    """Means, counters and groups of a batch; compiled once for all densities."""
    weight = weights(batch)
    in_float32 = lambda x: (
        x.astype(jnp.float32) if jnp.issubdtype(x.dtype, jnp.floating) else x
    )
    outputs = jax.tree.map(in_float32, outputs)
    means: dict[str, Any] = dict(
        scores=dict(task.scores(outputs, batch)),
        loss=Mean.of(task.losses(outputs, batch), weight),
        recovery={},
    )
    if task.relevant is not None:
        relevant = task.relevant(batch)
        means["recovery"] = recoveries(decisions, relevant, weight, grid)
    counts = {name: count(decision, weight) for name, decision in decisions.items()}
    return means, counts, None if task.groups is None else task.groups(batch)


def _is_mean(x: Any) -> bool:
    return isinstance(x, Mean)


def _value(mean: Mean) -> float:
    return float(mean.value) if mean.count else float("nan")


def _first(shown: list, number: int) -> Any:
    """The first examples of some batches of arrays."""
    if not number:
        return None, {}
    join = lambda *parts: np.concatenate([np.asarray(part) for part in parts])[:number]
    return jax.tree.map(join, *shown)


def audit(
    prepared: PreparedRun,
    state: State,
    source: Source,
    *,
    forward: Forward | None = None,
) -> tuple[Evaluation, Bill]:
    """Evaluates a state in masked execution and bills its decisions.

    Args:
        prepared: Run of the state.
        state: State with the parameters.
        source: Examples to answer.
        forward: Forward pass from `compile_forward`, instead of masked execution.
    """
    forward = forward or compile_forward(prepared.trainer)
    answers = evaluate(forward, prepared, state, source)
    return answers, bill_of(prepared, answers)


def bill_of(prepared: PreparedRun, answers: Evaluation) -> Bill:
    """Returns what an evaluation cost.

    Args:
        prepared: Run that was evaluated.
        answers: From `evaluate`.
    """
    return itemize_counts(
        prepared.prices, answers.counts, num_examples=answers.num_examples
    )
