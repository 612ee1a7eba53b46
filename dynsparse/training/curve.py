"""The curve of a trained model: accuracy, MACs and time at each of its points."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from dynsparse.budgets import densities_at
from dynsparse.costs import Bill, itemize, median_seconds
from dynsparse.data import Split
from dynsparse.training.averages import at_densities
from dynsparse.training.diagnostics import GateHealth, diagnose
from dynsparse.training.evaluation import (
    Answers,
    Forward,
    compile_forward,
    evaluate,
)
from dynsparse.training.experiment import Experiment, find_densities
from dynsparse.training.recovery import Recovery, score_recovery, true_patches
from dynsparse.training.step import State


@dataclasses.dataclass(frozen=True)
class Point:
    """A trained model at one density.

    Attributes:
        density: Mean fraction of open units over the gated layers.
        answers: Over the test split, from compact execution.
        bill: What they cost.
        health: Of the gates, by layer.
        latency_ms: Median of one batch in compact execution.
        latency_dense_ms: Median of one batch of the dense model, beside it.
        recovery: Of the true patches, for token gates on data that knows them.
    """

    density: float
    answers: Answers
    bill: Bill
    health: dict[str, GateHealth]
    latency_ms: float
    latency_dense_ms: float
    recovery: Recovery | None

    def row(self) -> dict[str, float]:
        """The row of curve.csv."""
        return dict(
            density=self.density,
            budget=self.bill.budget,
            flops_mean=2 * self.bill.mean,
            macs_mean=self.bill.mean,
            macs_p95=self.bill.p95,
            macs_dense=self.bill.dense,
            accuracy=self.answers.accuracy,
            latency_ms=self.latency_ms,
            latency_dense_ms=self.latency_dense_ms,
        )

    def report(self) -> dict[str, Any]:
        """The row of curve.csv and what else is known, by layer."""
        layers = {
            name: dict(
                density=float(self.answers.masks[name].mean()),
                health=dataclasses.asdict(self.health[name]),
                macs_dense=layer.dense,
                macs_mean=float(layer.used.mean()),
                macs_gate=float(layer.gate.mean()),
            )
            for name, layer in self.bill.layers.items()
        }
        recovery = None if self.recovery is None else vars(self.recovery)
        return self.row() | dict(layers=layers, recovery=recovery)


def trace_curve(experiment: Experiment, state: State, split: Split) -> list[Point]:
    """Evaluates compact execution over `split` at every point, from dense to sparse.

    Norms answer by the running averages of each point's density.
    """
    wanted = experiment.settings.evaluation
    model = experiment.trainer.model(state)
    densities = find_densities(model, experiment.prices, experiment.settings)
    forwards: dict[str, Forward] = {
        str(density): compile_forward(
            experiment.trainer,
            densities={} if density is None else densities_at(model, density),
            execution="compact",
        )
        for density in densities
    }
    states = at_densities(experiment, state, densities)
    answers = {
        str(density): evaluate(
            forwards[str(density)], own, split, batch_size=wanted.batch_size
        )
        for density, own in states.items()
    }
    seconds = _time(experiment, state, split, forwards)
    return [
        _point(experiment, split, answers[name], seconds[name], seconds["dense"])
        for name in forwards
    ]


def _time(
    experiment: Experiment, state: State, split: Split, forwards: Mapping[str, Forward]
) -> dict[str, float]:
    wanted = experiment.settings.evaluation
    images = split.images[np.arange(wanted.batch_size) % len(split)]
    key = jax.random.key(0)
    dense = compile_forward(experiment.trainer, execution="dense")
    calls = {
        name: lambda forward=forward: forward(state, images, key)
        for name, forward in {**forwards, "dense": dense}.items()
    }
    return median_seconds(calls, repeats=wanted.latency_repeats)


def _point(
    experiment: Experiment,
    split: Split,
    answers: Answers,
    seconds: float,
    seconds_dense: float,
) -> Point:
    densities = [mask.mean() for mask in answers.masks.values()]
    return Point(
        density=float(np.mean(densities)) if densities else 1.0,
        answers=answers,
        bill=itemize(experiment.prices, answers.masks, num_examples=len(split)),
        health=diagnose(answers.probabilities, split.labels),
        latency_ms=1e3 * seconds,
        latency_dense_ms=1e3 * seconds_dense,
        recovery=_recovery(experiment, split, answers),
    )


def _recovery(
    experiment: Experiment, split: Split, answers: Answers
) -> Recovery | None:
    """Scores the one gate over all tokens of the model, if the truth is known."""
    if split.best_mask is None or experiment.grid is None:
        return None
    true = true_patches(split.best_mask, experiment.grid)
    masks = experiment.grid.over_picture(answers.masks.values())
    return score_recovery(masks[0], true) if len(masks) == 1 else None
