"""Which configs make runs that one compiled program can step."""

import json
from collections.abc import Mapping
from typing import Any


def program_key(config: Mapping[str, Any]) -> str:
    """What a config says but for its names, its seed and the weights of its penalties.

    Names are words alone; the others are numbers that the state of a run holds. Runs
    of equal keys are steps of one program, by `training.train_together`.

    Args:
        config: Complete, plain values.
    """
    rest = {key: config[key] for key in config.keys() - {"names", "seed"}}
    budget = dict(config["budget"])
    if "penalties" in budget:
        budget["penalties"] = {
            name: {key: value for key, value in section.items() if key != "weight"}
            for name, section in budget["penalties"].items()
        }
    rest["budget"] = budget
    return json.dumps(rest, sort_keys=True)
