"""A run from its folder."""

import json
import pathlib

from dynsparse.training.checkpoint import Checkpoints
from dynsparse.training.experiment import Experiment, prepare
from dynsparse.training.step import State


def restore(workdir: pathlib.Path) -> tuple[Experiment, State]:
    """Returns what was trained in a folder, at its newest checkpoint.

    Args:
        workdir: Folder of the run.

    Raises:
        ValueError: If there is no checkpoint, it is of another version, or the data of
            the run is gone.
    """
    experiment = prepare(json.loads((workdir / "config.json").read_text()))
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        if checkpoints.latest is None:
            raise ValueError(f"{workdir} has no checkpoint yet.")
        return experiment, checkpoints.restore(experiment.initial_state)
