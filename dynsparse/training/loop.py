"""Training loop of one run, or of several runs that train as one program.

Invariants:
- the state after step n depends on the config and n alone: not on when the run was
  killed, resumed, logged or evaluated. (How many runs train together decides how XLA
  sums, and so the last bits of their numbers.)
- a checkpoint at step n is saved before step n + 1 starts, and a row of metrics for
  step n is written only once;
- the loop waits for the device only where it logs or saves, and saves no state after
  a loss or a gradient that is not finite.
"""

import collections
import contextlib
import os
import statistics
from collections.abc import Mapping, Sequence

import jax

from dynsparse._internal.stop_signal import Interrupted, StopSignal
from dynsparse.training.checks import checking, require_finite
from dynsparse.training.evaluation.calibration import calibrate
from dynsparse.training.prepare import PreparedRun
from dynsparse.training.program import Program
from dynsparse.training.progress import ProgressReport, say
from dynsparse.training.run import Run
from dynsparse.training.step import State


def train(prepared: PreparedRun, workdir: str | os.PathLike[str]) -> State:
    """Trains until the last step, from the newest checkpoint in `workdir` if any.

    >>> from dynsparse.configs import cluttered_digits
    >>> config = cluttered_digits.get_config("dense")
    >>> config.data.num_train = config.data.num_validation = config.data.num_test = 64
    >>> config.model.depth = config.train.num_steps = 1
    >>> config.train.check_first_step = False
    >>> state = training.train(training.prepare(config.to_dict()), "runs/first")
    compiling the training step ...
    >>> int(state["step"])
    1

    Args:
        prepared: Run from `prepare`.
        workdir: Folder of the run; gets checkpoints, metrics.jsonl and event files.

    Returns:
        The state after the last step, which is checkpointed.

    Raises:
        CheckpointError: If no checkpoint of the folder can be used.
        FloatingPointError: If the loss or its gradient is not finite; the error names
            the step. Also if the first steps have a wrong gradient.
        Interrupted: If a signal asked to stop; the state is checkpointed.
    """
    (state,) = train_together([prepared], [workdir])
    return state


def train_together(
    prepared: Sequence[PreparedRun], workdirs: Sequence[str | os.PathLike[str]]
) -> list[State]:
    """Trains several runs as one program; runs at different steps, in turn.

    >>> from dynsparse.configs import cluttered_digits
    >>> config = cluttered_digits.get_config("dense")
    >>> config.data.num_train = config.data.num_validation = config.data.num_test = 64
    >>> config.model.depth = config.train.num_steps = 1
    >>> config.train.check_first_step = False
    >>> seeds = [config.to_dict() | dict(seed=seed) for seed in (0, 1)]
    >>> runs = training.prepare_together(seeds)
    >>> states = training.train_together(runs, ["runs/0", "runs/1"])
    compiling the training step ...
    >>> [int(state["step"]) for state in states]
    [1, 1]

    Args:
        prepared: Runs from `prepare_together`.
        workdirs: Folder of each run, as in `train`.

    Returns:
        The state of each run after the last step.

    Raises:
        CheckpointError, FloatingPointError, Interrupted: As `train`, with the run.
        ValueError: If several runs are to share more than one device.
    """
    runs = [Run(*pair) for pair in zip(prepared, workdirs, strict=True)]
    say(*(note for run in runs for note in run.notes))
    by_step: dict[int, list[Run]] = collections.defaultdict(list)
    for run in runs:
        by_step[run.step].append(run)
    with StopSignal(only_first=True) as stop:
        for start, group in by_step.items():
            if start < group[0].prepared.settings.train.num_steps:
                if stop.times:
                    raise Interrupted(start)
                _train(group, start, stop)
    return [run.state for run in runs]


def _train(runs: Sequence[Run], start: int, stop: StopSignal):
    """Steps runs that are at the same step until the last step, or a stop."""
    plan = runs[0].prepared.settings.train
    program = Program([run.prepared for run in runs])
    checks = plan.check_first_step and not start
    take_step = checking(program) if checks else program.step
    names = [f"{run.name}: " if len(runs) > 1 else "" for run in runs]
    with contextlib.ExitStack() as stack:
        for run in runs:
            stack.enter_context(run)
        shown = ProgressReport(start, plan.num_steps, runs[0].prepared.task.metric)
        progress = stack.enter_context(shown)
        if start:
            progress.say(f"resumed from step {start}")
        progress.working("compiling the training step", aloud=True)
        seen: dict[int, Mapping[str, jax.Array]] = {}
        working = program.begin([run.state for run in runs])
        for step in range(start + 1, plan.num_steps + 1):
            working, seen[step] = take_step(working, step - 1)
            last = step == plan.num_steps
            log = step % plan.log_every == 0 or last
            look = step % plan.eval_every == 0 or last
            save = step % plan.checkpoint_every == 0 or last or stop.times
            if log or save:
                require_finite(seen, names)
                for metrics in seen.values():
                    for run, row in zip(runs, program.values(metrics), strict=True):
                        run.add(row)
                seen.clear()
            if log:
                progress.update(step, _mean([run.log(step) for run in runs]))
            if look or save:
                for run, state in zip(runs, program.states(working), strict=True):
                    run.state = calibrate(run.prepared, state) if last else state
            for run, name in zip(runs, names, strict=True):
                if look:
                    told = last or step == plan.eval_every
                    progress.working("validating", aloud=told)
                    progress.say(f"{name}step {step}: validation {run.validate()}")
                if save:
                    run.save()
            if stop.times and save and not last:
                raise Interrupted(step)


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.mean(row[name] for row in rows) for name in rows[0]}
