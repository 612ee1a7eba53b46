"""Does a sweep train?

Claim: as `run` does. What would refute it: another curve.
"""

from dynsparse.reports import Report
from tests.training import tiny


def sweep(add, size):
    """One tiny run, long enough to be stopped; two seeds and another in "full"."""
    changes = dict(tiny.SMALL)
    del changes["scorer.hidden"]  # which random gates do not have
    changes |= {"train.num_steps": 200, "train.log_every": 1}
    changes |= {"train.eval_every": 200, "train.checkpoint_every": 100}
    changes |= {"evaluation.densities": (0.5,), "evaluation.budgets": ()}
    for method, seed in dict(
        small=[("random_topk", 1)],
        full=[*(("random_topk", seed) for seed in range(2)), ("hard_topk", 0)],
    )[size]:
        add(
            config=f"configs/cluttered_digits.py:{method}",
            method=method,
            setting="tiny",
            seed=seed,
            overrides=changes,
        )


def examine(experiment, state, points):
    """The curve once more, and when it was traced."""
    del experiment
    return [point.row() | dict(step=int(state["step"])) for point in points]


def report(rows):
    """The curve."""
    return Report(rows, ["method", "setting", "seed", "density", "accuracy", "step"])
