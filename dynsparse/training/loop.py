"""The loop that joins the parts of a run, or of several that train together.

Invariants:
- the state after step n depends on the config and n alone: not on when the run was
  killed, resumed, logged or evaluated. (How many runs train together decides how XLA
  sums, and so the last bits of their numbers.)
- a checkpoint at step n is saved before step n + 1 starts, and a row of metrics for
  step n is written only once;
- the loop waits for the device only where it logs or saves, and saves no state that
  follows a loss or a gradient that is not finite.
"""

import collections
import contextlib
import math
import pathlib
import statistics
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from dynsparse._internal.stop_signal import StopSignal
from dynsparse.training.first_steps import checking
from dynsparse.training.interrupt import Interrupted
from dynsparse.training.prepare import PreparedRun
from dynsparse.training.program import Program
from dynsparse.training.progress import ProgressReport, say
from dynsparse.training.run import Run
from dynsparse.training.step import State

_FINITE = dict(loss="loss", gradient_norm="gradient's norm")


def train(prepared: PreparedRun, workdir: pathlib.Path) -> State:
    """Trains until the last step, from the newest checkpoint in `workdir` if any.

    Args:
        prepared: What to train.
        workdir: Folder of the run; gets checkpoints, metrics.jsonl and event files.

    Returns:
        The state after the last step, which is checkpointed.

    Raises:
        FloatingPointError: If the loss or its gradient is no longer finite; it names
            the step.
        Interrupted: If a signal asked to stop; the state is checkpointed.
    """
    (state,) = train_together([prepared], [workdir])
    return state


def train_together(
    prepared: Sequence[PreparedRun], workdirs: Sequence[pathlib.Path]
) -> list[State]:
    """Trains several runs as one program; those that are not at one step, in turn.

    Args:
        prepared: From `prepare_together`.
        workdirs: Their folders, as in `train`.

    Returns:
        The states after the last step, in their order.

    Raises:
        FloatingPointError: If a loss or its gradient is no longer finite; it names the
            run and step.
        Interrupted: If a signal asked to stop; the states are checkpointed.
        ValueError: If several are to share more than one device.
    """
    with contextlib.ExitStack() as stack:
        runs = [
            stack.enter_context(Run(run, workdir))
            for run, workdir in zip(prepared, workdirs, strict=True)
        ]
        for note in (note for run in runs for note in run.notes):
            say(note)
        by_step: dict[int, list[Run]] = collections.defaultdict(list)
        for run in runs:
            by_step[run.step].append(run)
        with StopSignal(only_first=True) as stop:
            for start, group in by_step.items():
                if start < group[0].prepared.settings.train.num_steps:
                    _train(group, start, stop)
        return [run.state for run in runs]


def _train(runs: Sequence[Run], start: int, stop: StopSignal):
    """Steps runs that are at the same step until the last one, or a stop."""
    if stop.times:
        raise Interrupted(start)
    plan = runs[0].prepared.settings.train
    program = Program([run.prepared for run in runs])
    checks = plan.check_first_step and not start
    take_step = checking(program) if checks else program.step
    names = [f"{run.name}: " if len(runs) > 1 else "" for run in runs]
    with ProgressReport(start, plan.num_steps) as progress:
        for run in runs:
            run.begin()
        if start:
            progress.say(f"resumed from step {start}")
        seen: dict[int, Mapping[str, jax.Array]] = {}
        working = program.begin([run.state for run in runs])
        progress.working("compiling the training step", aloud=True)
        for step in range(start + 1, plan.num_steps + 1):
            working, metrics = take_step(working, step - 1)
            last = step == plan.num_steps
            seen[step] = metrics
            log = step % plan.log_every == 0 or last
            save = step % plan.checkpoint_every == 0 or last or stop.times
            if log or save:
                _require_finite(seen, names)
                for each in seen.values():
                    for run, row in zip(runs, program.values(each), strict=True):
                        run.see(row)
                seen.clear()
            if log:
                progress.update(step, _mean([run.log(step) for run in runs]))
            look = step % plan.eval_every == 0 or last
            if look or save:
                for run, state in zip(runs, program.states(working), strict=True):
                    run.take(state, last=last)
            for run, name in zip(runs, names, strict=True):
                if look:
                    progress.working(
                        "validating", aloud=last or step == plan.eval_every
                    )
                    progress.say(f"{name}step {step}: validation {run.validate()}")
                if save:
                    run.save()
            if stop.times and save and not last:
                raise Interrupted(step)


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.mean(row[name] for row in rows) for name in rows[0]}


def _require_finite(seen: Mapping[int, Mapping[str, jax.Array]], names: Sequence[str]):
    """Waits for the metrics by step, and names the first that is not finite."""
    for step, metrics in seen.items():
        for metric, words in _FINITE.items():
            values = np.atleast_1d(metrics[metric]).tolist()
            for name, value in zip(names, values, strict=True):
                if not math.isfinite(value):
                    raise FloatingPointError(
                        f"{name}the {words} is {value} at step {step}"
                    )
