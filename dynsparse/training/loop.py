"""The loop that joins the parts of a run.

Invariants:
- the state after step n depends on the config and n alone: not on when the run was
  killed, resumed, logged or evaluated;
- a checkpoint at step n is saved before step n + 1 starts, and a row of metrics for
  step n is written only once;
- the loop waits for the device only where it logs or saves, and saves no state that
  follows a loss that is not finite.
"""

import math
import pathlib

import jax
import numpy as np

from dynsparse.stop_signal import StopSignal
from dynsparse.training.calibration import calibrate
from dynsparse.training.checkpoint import Checkpoints
from dynsparse.training.experiment import Experiment
from dynsparse.training.interrupt import Interrupted
from dynsparse.training.optimizer import learning_rate_schedule
from dynsparse.training.progress import ProgressReport
from dynsparse.training.step import State, compile_step
from dynsparse.training.validation import Validation
from dynsparse.training.writer import Writer


def train(experiment: Experiment, workdir: pathlib.Path) -> State:
    """Trains until the last step, from the newest checkpoint in `workdir` if any.

    Args:
        experiment: What to train.
        workdir: Folder of the run; gets checkpoints, metrics.jsonl and event files.

    Returns:
        The state after the last step, which is checkpointed.

    Raises:
        FloatingPointError: If the loss is no longer finite; it names the step.
        Interrupted: If a signal asked to stop; the state is checkpointed.
    """
    plan = experiment.settings.train
    schedule = learning_rate_schedule(experiment.settings.optimizer, plan.num_steps)
    step_function = compile_step(experiment.trainer)
    placement = experiment.placement
    validate = Validation(experiment)
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        state = experiment.initial_state
        if checkpoints.latest is not None:
            state = checkpoints.restore(state)
        start = int(state["step"])
        if start == plan.num_steps:
            return state
        with (
            Writer(workdir, start) as writer,
            ProgressReport(start, plan.num_steps) as progress,
            StopSignal(only_first=True) as stop,
        ):
            if start:
                progress.say(f"resumed from step {start}")
            losses: dict[int, jax.Array] = {}
            working = placement.spread(state)
            for step in range(start + 1, plan.num_steps + 1):
                batch = placement.divide(*experiment.batches[step - 1])
                working, metrics = step_function(working, *batch)
                last = step == plan.num_steps
                losses[step] = metrics["loss"]
                log = step % plan.log_every == 0 or last
                save = step % plan.checkpoint_every == 0 or last or stop.times
                if log or save:
                    _require_finite(losses)
                    losses.clear()
                if log:
                    values = {name: float(value) for name, value in metrics.items()}
                    values["learning_rate"] = float(np.asarray(schedule(step - 1)))
                    writer.scalars(step, "train", values)
                    progress.update(step, values)
                look = step % plan.eval_every == 0 or last
                if look or save:
                    state = placement.gather(working)
                if last:
                    state = calibrate(experiment, state)
                if look:
                    validated = validate(state)
                    writer.scalars(step, "validation", validated.scalars)
                    progress.say(f"step {step}: validation {validated}")
                if save:
                    checkpoints.save(state)
                if stop.times and save and not last:
                    raise Interrupted(step)
    return state


def _require_finite(losses: dict[int, jax.Array]):
    """Waits for the losses by step, and names the first step that is not finite."""
    for step, loss in losses.items():
        value = float(np.asarray(loss))
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value} at step {step}")
