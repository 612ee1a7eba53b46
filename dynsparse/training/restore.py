"""A run from its folder."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Iterator

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from dynsparse import reports
from dynsparse._internal.atomic_write import read_json
from dynsparse._internal.registry import names_outside
from dynsparse.training.averages import at_densities
from dynsparse.training.checkpoint import Checkpoints
from dynsparse.training.evaluation import Forward, compile_forward, evaluation_key
from dynsparse.training.prepare import PreparedRun, prepare
from dynsparse.training.step import State


@dataclasses.dataclass(frozen=True)
class Restored:
    """A trained run, which answers images as they lie in a file.

        run = training.restore("runs/mine")
        labels = run(images).argmax(-1)  # uint8, [n, height, width, channels]
        labels = run(images, density=0.5).argmax(-1)  # with a top-k gate

    It unpacks into its two attributes: `prepared, state = training.restore(folder)`.

    Attributes:
        prepared: What was trained.
        state: At the checkpoint.
    """

    prepared: PreparedRun
    state: State

    def __iter__(self) -> Iterator:
        return iter((self.prepared, self.state))

    def __call__(
        self,
        images: UInt8[Array | np.ndarray, "n height width channels"],
        *,
        density: float | None = None,
    ) -> Float[Array, "n classes"]:
        """Returns the logits of `images`, preprocessed as in the run.

        Compiled once for each number of images.

        Args:
            images: 0 to 255, of the height, width and channels of the run's own.
            density: Of top-k gates, in [0, 1]; as the run trained where it is None.

        Raises:
            ValueError: If the images are not of the run's type and shape, or `density`
                is given and no gate has one.
        """
        wanted = self.prepared.dataset.image_shape
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
        state = self._state(density)
        key = jax.random.fold_in(evaluation_key(state), 0)
        return self._forward(state, images, key, density)[0]

    @functools.cached_property
    def _forward(self) -> Forward:
        return compile_forward(self.prepared.trainer)

    @functools.cached_property
    def _states(self) -> dict[float | None, State]:
        return {None: self.state}

    def _state(self, density: float | None) -> State:
        """The state with the averages of its norms at a density."""
        if density not in self._states:
            states = at_densities(self.prepared, self.state, [density])
            self._states.update(states)
        return self._states[density]


def restore(workdir: str | os.PathLike[str], *, trust: bool = False) -> Restored:
    """Returns what was trained in a folder, at its newest checkpoint.

    Args:
        workdir: Folder of the run.
        trust: Whether to import the classes outside this library that its config.json
            names, and so to run their code.

    Raises:
        ValueError: If a file is missing or damaged, the checkpoint is of another
            version, the data of the run is gone, or the config names a class outside
            this library and `trust` is False.
    """
    workdir = pathlib.Path(workdir)
    path = workdir / "config.json"
    config = read_json(path, reports.PUT_BACK)
    if config is None:
        raise ValueError(f"{workdir} is not the folder of a run: no config.json.")
    outside = ", ".join(map(repr, names_outside(config)))
    if outside and not trust:
        raise ValueError(
            f"{path} names code outside of this library: {outside}; "
            "where you trust whoever made the folder, let it run by --trust on the "
            "command line, trust=True in a program."
        )
    try:
        prepared = prepare(config, resumed=True)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    except (AttributeError, LookupError, TypeError) as error:
        told = f"{path} is damaged: {type(error).__name__}: {error}"
        raise ValueError(told) from error
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        if checkpoints.latest is None:
            raise ValueError(f"{workdir} has no checkpoint.")
        found = checkpoints.restore(prepared.initial_state, newest_only=True)
        return Restored(prepared, found.state)
