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
from jaxtyping import Array, Float, UInt8

from dynsparse import data, reports
from dynsparse._internal.atomic_write import read_json
from dynsparse._internal.registry import names_outside
from dynsparse.data import Dataset, KnownDataset
from dynsparse.gates import evaluating
from dynsparse.training.evaluation.evaluate import (
    at_densities,
    compile_forward,
    evaluation_key,
)
from dynsparse.training.folder.checkpoint import Checkpoints
from dynsparse.training.prepare import PreparedRun, prepare
from dynsparse.training.run import CONFIG, FACTS
from dynsparse.training.step import State


@dataclasses.dataclass(frozen=True)
class RestoredRun:
    """A trained run: its model, its config, its curve, and its data on demand.

    A call answers images as they lie in a file:

        run = dynsparse.restore("runs/mine")
        labels = run(images).argmax(-1)  # uint8, [n, height, width, channels]
        labels = run(images, density=0.5).argmax(-1)  # with a top-k gate

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
        """Evaluation view of the trained model, which takes `task.inputs(images)`."""
        return evaluating(self.prepared.trainer.model(self.state))

    @property
    def config(self) -> Mapping[str, Any]:
        """Plain values of the config."""
        return self.prepared.config

    @property
    def task(self) -> Dataset:
        """Task of the run; its images are made or read when they are asked for."""
        return self.prepared.dataset

    @functools.cached_property
    def curve(self) -> list[dict[str, Any]]:
        """Points of the curve, from dense to sparse, as in result.json.

        Raises:
            ValueError: If the run is not finished, or the file is damaged.
        """
        return reports.read_run(self.workdir)[1]["curve"]

    def __call__(
        self,
        images: UInt8[Array | np.ndarray, "n height width channels"],
        *,
        density: float | None = None,
    ) -> Float[Array, "n classes"]:
        """Returns the logits of `images`, preprocessed as in the run.

        Compiled once for each number of images.

        Args:
            images: Images of the run's height, width and channels, 0 to 255.
            density: Density of top-k gates, in [0, 1]; as trained where it is None.

        Raises:
            ValueError: If the images are not of the run's type and shape, or `density`
                is given and no gate has one.
        """
        wanted = self.task.image_shape
        if images.shape[1:] != wanted:
            raise ValueError(
                f"images must be [n, {', '.join(map(str, wanted))}], "
                f"got {list(images.shape)}."
            )
        if density is not None:
            if self.prepared.densities == (None,):
                raise ValueError(f"density={density}: the gates of this run have none.")
            if not 0 <= density <= 1:
                raise ValueError(f"density must be in [0, 1], got {density}.")
        state = self.at(density)
        key = jax.random.fold_in(evaluation_key(state), 0)
        return compile_forward(self.prepared.trainer)(state, images, key, density)[0]

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
    >>> images = run.task.test.images[:2]
    >>> run(images).shape, run.model(run.task.inputs(images)).shape
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
            known = KnownDataset(facts, lambda: data.from_config(config["data"]))
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
