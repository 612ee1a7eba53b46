"""A run from its folder."""

import pathlib

from dynsparse.training.checkpoint import Checkpoints
from dynsparse.training.experiment import Experiment, prepare
from dynsparse.training.step import State
from dynsparse.whole import read_json


def restore(workdir: pathlib.Path) -> tuple[Experiment, State]:
    """Returns what was trained in a folder, at its newest checkpoint.

    Args:
        workdir: Folder of the run.

    Raises:
        ValueError: If a file is missing or damaged, the checkpoint is of another
            version, or the data of the run is gone.
    """
    config = read_json(workdir / "config.json", "put back what was there")
    if config is None:
        raise ValueError(f"{workdir} is not the folder of a run: no config.json.")
    experiment = prepare(config)
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        if checkpoints.latest is None:
            raise ValueError(f"{workdir} has no checkpoint.")
        found = checkpoints.restore(experiment.initial_state, newest_only=True)
        return experiment, found.state
