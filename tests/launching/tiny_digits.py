"""Does a sweep train?

Claim: as launch.py does. What would refute it: another curve.
"""

from dynsparse.reports import Report
from tests.training import tiny


def sweep(add, size):
    """One tiny run, long enough to be stopped."""
    del size
    changes = {"train.num_steps": 200, "train.log_every": 1}
    changes |= {"train.eval_every": 200, "train.checkpoint_every": 100}
    changes |= {"evaluation.densities": (0.5,), "evaluation.budgets": ()}
    add(
        config="configs/cluttered_digits.py:random_topk",
        method="random_topk",
        setting="tiny",
        seed=1,
        overrides=tiny.SMALL | changes,
    )


def examine(experiment, state, points):
    """The curve once more, and when it was traced."""
    del experiment
    return [point.row() | dict(step=int(state["step"])) for point in points]


def report(rows):
    """The curve."""
    return Report(rows, ["method", "setting", "seed", "density", "accuracy", "step"])
