"""What experiments share that train: a run in a folder of its own, and its points."""

import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any


def train(argument: str, changes: Mapping[str, Any], *, small: bool) -> Any:
    """Trains on cluttered digits and evaluates compact execution on the test split.

    Args:
        argument: "METHOD,MODEL,BUDGET" of configs/cluttered_digits.py.
        changes: Values by dotted key.
        small: Whether a few steps on a few pictures will do, to test with.

    Returns:
        The experiment and its `Point`s, from dense to sparse.
    """
    from configs import cluttered_digits
    from dynsparse import training
    from dynsparse.training.curve import trace_curve

    config = cluttered_digits.get_config(argument)
    if small:
        few = {"data.num_train": 128, "data.num_validation": 20, "data.num_test": 40}
        few |= {"train.num_steps": 4, "train.batch_size": 16, "model.width": 12}
        config.update_from_flattened_dict(few)
    config.update_from_flattened_dict(dict(changes) | {"evaluation.latency_repeats": 1})
    experiment = training.prepare(config.to_dict())
    with tempfile.TemporaryDirectory() as folder:
        state = training.train(experiment, pathlib.Path(folder))
    return experiment, trace_curve(experiment, state, experiment.dataset.test)
