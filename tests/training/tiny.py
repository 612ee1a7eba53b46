"""The shipped config, small enough for tests."""

import functools

from configs import cluttered_digits

SMALL = {
    "data.num_train": 128,
    "data.num_validation": 20,
    "data.num_test": 40,
    "model.width": 8,
    "model.depth": 1,
    "model.num_heads": 2,
    "model.mlp_width": 8,
    "scorer.hidden": 4,
    "optimizer.warmup_steps": 2,
    "train.num_steps": 6,
    "train.batch_size": 16,
    "train.log_every": 2,
    "train.eval_every": 4,
    "train.checkpoint_every": 3,
    "train.check_first_step": False,
    "evaluation.densities": (1.0, 0.25),
    "evaluation.budgets": (0.7,),
    "evaluation.batch_size": 16,
    "evaluation.latency_repeats": 2,
    "evaluation.num_examples": 3,
}
POINTS = ("evaluation.densities", "evaluation.budgets")
FLAGS = [f"--config.{key}={value}" for key, value in SMALL.items()]


def config(argument="soft_topk", **changes):
    """Plain values of a tiny run; `changes` have __ for the dots of a key."""
    settings = cluttered_digits.get_config(argument)
    keys = settings.to_dict()
    small = {
        key: value
        for key, value in SMALL.items()
        if key.rpartition(".")[2] in keys[key.partition(".")[0]]
    }
    if settings.model.name == "resnet":
        small["model.depth"] = 8  # the least
    elif settings.model.name == "mixer":  # whose gates would have little to spare
        del small["model.width"], small["model.mlp_width"]
        small["model.token_width"] = 8
    if not settings.evaluation.densities:  # of a gate that has none
        small = {key: v for key, v in small.items() if key not in POINTS}
    settings.update_from_flattened_dict(small)
    settings.update_from_flattened_dict(
        {key.replace("__", "."): value for key, value in changes.items()}
    )
    return settings.to_dict()


@functools.cache
def prepared(argument="soft_topk", **changes):
    """A prepared run that tests of several files share, which none may change."""
    from dynsparse import training

    return training.prepare(config(argument, **changes))
