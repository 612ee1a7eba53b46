"""Score, MACs and time of a trained model at each density of its curve."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from dynsparse.budgets import densities_at
from dynsparse.costs import Bill, ratio_quartiles, seconds_by_turn
from dynsparse.data import Source
from dynsparse.training.evaluation.diagnostics import GateHealth, diagnose
from dynsparse.training.evaluation.evaluate import (
    Evaluation,
    bill_of,
    evaluate,
    padded,
)
from dynsparse.training.evaluation.forward import Forward, compile_forward
from dynsparse.training.evaluation.norms import at_densities
from dynsparse.training.prepare import PreparedRun, find_densities
from dynsparse.training.progress import Phase
from dynsparse.training.step import State


@dataclasses.dataclass(frozen=True)
class Point:
    """Measurements of a trained model at one density.

    Attributes:
        density: Mean fraction of open units over the gated layers.
        answers: Evaluation in compact execution over the test split.
        bill: MACs of the answers.
        health: Health of the gates, by layer.
        latency_ms: Median time of one batch in compact execution, in milliseconds.
        latency_dense_ms: Median time of one batch of the dense model.
        time_ratio: First quartile, median and third quartile, over turns of both, of
            the time of a batch divided by that of the dense model in the same turn.
        dense_again: Median of that ratio for the dense model beside itself: far from 1
            on a machine that does other things as well.
    """

    density: float
    answers: Evaluation
    bill: Bill
    health: dict[str, GateHealth]
    latency_ms: float
    latency_dense_ms: float
    time_ratio: tuple[float, float, float]
    dense_again: float

    def row(self) -> dict[str, float]:
        """Returns the row of curve.csv."""
        return dict(
            density=self.density,
            budget=self.bill.budget,
            flops_mean=2 * self.bill.mean,
            macs_mean=self.bill.mean,
            macs_p95=self.bill.p95,
            macs_dense=self.bill.dense,
            score=self.answers.score,
            **self.answers.scores,
            latency_ms=self.latency_ms,
            latency_dense_ms=self.latency_dense_ms,
            time_ratio=self.time_ratio[1],
            time_ratio_q1=self.time_ratio[0],
            time_ratio_q3=self.time_ratio[2],
            dense_again=self.dense_again,
        )

    def report(self) -> dict[str, Any]:
        """Returns the row of curve.csv with the figures of layers and recovery."""
        layers = {
            name: dict(
                density=self.answers.gates[name].density,
                health=dataclasses.asdict(self.health[name]),
                macs_dense=layer.dense,
                macs_mean=float(layer.used.mean()),
                macs_gate=float(layer.gate.mean()),
            )
            for name, layer in self.bill.layers.items()
        }
        recovery = {name: vars(of) for name, of in self.answers.recovery.items()}
        return self.row() | dict(layers=layers, recovery=recovery)


def trace_curve(prepared: PreparedRun, state: State, source: Source) -> list[Point]:
    """Evaluates compact execution over `source` at every point, from dense to sparse.

    BatchNorm statistics are re-estimated at each density.
    """
    wanted = prepared.settings.evaluation
    model = prepared.trainer.model(state)
    densities = find_densities(model, prepared.prices, prepared.settings)
    forwards: dict[str, Forward] = {
        str(density): compile_forward(
            prepared.trainer,
            densities={} if density is None else densities_at(model, density),
            execution="compact",
        )
        for density in densities
    }
    answers: dict[str, Evaluation] = {}
    examples = f"{len(source):,} test {prepared.task.noun}s"
    what = f"evaluating {_number(len(densities))} on {examples}"
    with Phase(what, len(densities)) as phase:
        states = at_densities(prepared, state, densities)
        for density, own in states.items():
            answers[str(density)] = evaluate(
                forwards[str(density)], prepared, own, source, shows=wanted.num_examples
            )
            phase.advance()
    with Phase(f"timing, {wanted.latency_repeats} turns"):
        turns = _time(prepared, state, source, forwards)
    return [_point(prepared, answers[n], turns[n], turns) for n in forwards]


def _number(densities: int) -> str:
    return "the model" if densities == 1 else f"{densities} densities"


def _time(
    prepared: PreparedRun, state: State, source: Source, forwards: Mapping[str, Forward]
) -> dict[str, list[float]]:
    """Seconds by turn of each forward pass, and of the dense model twice."""
    wanted = prepared.settings.evaluation
    batch = padded(source, 0, wanted.batch_size)
    key = jax.random.key(0)
    dense = compile_forward(prepared.trainer, execution="dense")
    calls = {
        name: lambda forward=forward: forward(state, batch, key)
        for name, forward in {**forwards, "dense": dense, "again": dense}.items()
    }
    return seconds_by_turn(calls, repeats=wanted.latency_repeats)


def _point(
    prepared: PreparedRun,
    answers: Evaluation,
    seconds: Sequence[float],
    turns: Mapping[str, Sequence[float]],
) -> Point:
    densities = [gate.density for gate in answers.gates.values()]
    return Point(
        density=float(np.mean(densities)) if densities else 1.0,
        answers=answers,
        bill=bill_of(prepared, answers),
        health=diagnose(answers.gates, answers.groups),
        latency_ms=1e3 * statistics.median(seconds),
        latency_dense_ms=1e3 * statistics.median(turns["dense"]),
        time_ratio=ratio_quartiles(seconds, turns["dense"]),
        dense_again=ratio_quartiles(turns["again"], turns["dense"])[1],
    )
