"""A trained run from its folder."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import PyTree

from dynsparse import data, reports, tasks
from dynsparse._internal.atomic_write import read_json
from dynsparse._internal.registry import names_outside
from dynsparse.data import Splits
from dynsparse.gates import evaluating
from dynsparse.tasks import Batch, Task
from dynsparse.training.evaluation.forward import compile_forward, evaluation_key
from dynsparse.training.evaluation.norms import at_densities
from dynsparse.training.folder.checkpoint import Checkpoints
from dynsparse.training.prepare import PreparedRun, prepare
from dynsparse.training.run import CONFIG, FACTS
from dynsparse.training.step import State


@dataclasses.dataclass(frozen=True)
class RestoredRun:
    """A trained run: its model, its config, its curve, and its data on demand.

    A call answers a batch of examples as they lie in a source:

        run = dynsparse.restore("runs/mine")
        labels = run(dict(image=images)).argmax(-1)
        labels = run(dict(image=images), density=0.5).argmax(-1)  # with a top-k gate

    Attributes:
        prepared: Run with its settings, trainer and prices.
        state: State at the checkpoint.
        workdir: Folder of the run.
    """

    prepared: PreparedRun
    state: State
    workdir: pathlib.Path

    @functools.cached_property
    def model(self) -> nnx.Module:
        """Evaluation view of the trained model, which takes `task.inputs(batch)`."""
        return evaluating(self.prepared.trainer.model(self.state))

    @property
    def config(self) -> Mapping[str, Any]:
        """Plain values of the config."""
        return self.prepared.config

    @property
    def task(self) -> Task:
        """Task of the run; its data are made or read when they are asked for."""
        return self.prepared.task

    @functools.cached_property
    def curve(self) -> list[dict[str, Any]]:
        """Points of the curve, from dense to sparse, as in result.json.

        Raises:
            ValueError: If the run is not finished, or the file is damaged.
        """
        return reports.read_run(self.workdir)[1]["curve"]

    def __call__(
        self,
        batch: Batch,
        *,
        density: float | None = None,
    ) -> PyTree:
        """Returns the outputs for a batch, preprocessed as in the run.

        Compiled once for each number of examples.

        Args:
            batch: Arrays by name, as the sources of the run have them, [n, ...]; those
                that the model does not see, such as labels, may be left out.
            density: Density of top-k gates, in [0, 1]; as trained where it is None.

        Raises:
            ValueError: If an array is unknown, or not of the run's type and shape, or
                `density` is given and no gate has one.
        """
        for name, array in batch.items():
            self._check(name, array)
        if density is not None:
            if self.prepared.densities == (None,):
                raise ValueError(f"density={density}: the gates of this run have none.")
            if not 0 <= density <= 1:
                raise ValueError(f"density must be in [0, 1], got {density}.")
        state = self.at(density)
        key = jax.random.fold_in(evaluation_key(state), 0)
        return compile_forward(self.prepared.trainer)(state, batch, key, density)[0]

    def _check(self, name: str, array: Any):
        """Refuses an array that an example of the run does not have."""
        example = self.task.splits.example
        if name not in example:
            raise ValueError(
                f"examples of this run have no {name!r}, but {', '.join(example)}."
            )
        wanted, shape = example[name], np.shape(array)
        if shape[1:] != wanted.shape:
            sides = ", ".join(map(str, ("n", *wanted.shape)))
            raise ValueError(f"{name} must be [{sides}], got {list(shape)}.")
        if array.dtype != wanted.dtype:
            raise ValueError(f"{name} must be {wanted.dtype}, got {array.dtype}.")

    def at(self, density: float | None) -> State:
        """Returns the state with BatchNorm statistics of a density.

        Args:
            density: Density of top-k gates, in [0, 1]; as trained where it is None.
        """
        if density not in self._states:
            self._states.update(at_densities(self.prepared, self.state, [density]))
        return self._states[density]

    @functools.cached_property
    def _states(self) -> dict[float | None, State]:
        return {None: self.state}


def restore(workdir: str | os.PathLike[str], *, trust: bool = False) -> RestoredRun:
    """Returns the trained run of a folder, at its newest checkpoint.

    >>> from dynsparse.configs import cluttered_digits
    >>> config = cluttered_digits.get_config("dense")
    >>> config.data.num_train = config.data.num_validation = config.data.num_test = 64
    >>> config.model.depth = config.train.num_steps = 1
    >>> config.train.check_first_step = False
    >>> _ = training.train(training.prepare(config.to_dict()), "runs/first")
    compiling the training step ...
    >>> run = training.restore("runs/first")
    >>> batch = data.read_batch(run.task.test, [0, 1])
    >>> run(batch).shape, run.model(run.task.inputs(batch)).shape
    ((2, 10), (2, 10))

    Args:
        workdir: Folder of the run.
        trust: Whether to import the classes outside this library that its config.json
            names, and so to run their code.

    Raises:
        ValueError: If a file is missing or damaged, the checkpoint is of another
            version, or the config names a class outside this library and `trust` is
            False.
    """
    workdir = pathlib.Path(workdir)
    path = workdir / CONFIG
    config = read_json(path, reports.PUT_BACK)
    if config is None:
        raise ValueError(f"{workdir} is not the folder of a run: no {CONFIG}.")
    outside = ", ".join(map(repr, names_outside(config)))
    if outside and not trust:
        raise ValueError(
            f"{path} names code outside of this library: {outside}; "
            "where you trust whoever made the folder, let it run by --trust on the "
            "command line, trust=True in a program."
        )
    facts = read_json(workdir / FACTS, reports.PUT_BACK)
    try:
        known = None
        if facts is not None:
            make = lambda: data.from_config(config["data"])
            known = tasks.from_config(config["task"], Splits.deferred(facts, make))
        prepared = prepare(config, known, trains=False)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    except (AttributeError, LookupError, TypeError) as error:
        told = f"{path} is damaged: {type(error).__name__}: {error}"
        raise ValueError(told) from error
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        if checkpoints.latest is None:
            raise ValueError(f"{workdir} has no checkpoint.")
        found = checkpoints.restore(prepared.initial_state, newest_only=True)
    return RestoredRun(prepared, found.state, workdir)
