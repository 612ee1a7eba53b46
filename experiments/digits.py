"""What experiments on cluttered digits share: trials, and how small ones differ."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from dynsparse.configs import METHODS

from dynsparse.reports.stats import Row

SEEDS: Mapping[str, Collection[int]] = dict(small=range(3), full=range(5))
NARROWER: Mapping[float, Mapping[str, int]] = {  # of `models.narrower`, which needs jax
    0.25: dict(width=21, mlp_width=64),
    0.35: dict(width=24, mlp_width=72),
    0.55: dict(width=33, mlp_width=96),
    0.75: dict(width=39, mlp_width=120),
    0.9: dict(width=45, mlp_width=136),
}
DENSE_BUDGETS: Mapping[str, Collection[float]] = dict(
    small=(0.35, 0.55), full=tuple(NARROWER)
)
BASELINES: Mapping[str, str] = dict(  # of arms that go by what they are
    dense="dense network",
    random="random gates",
    static="static pruning",
    narrower="narrower dense network",
)
EIGHTHS = tuple(number / 8 for number in range(8, 0, -1))  # all that parts can be
_QUICK = {
    "train.num_steps": 60,
    "train.eval_every": 60,
    "optimizer.warmup_steps": 10,
    "data.num_train": 4_000,
    "data.num_validation": 300,
    "data.num_test": 1_000,
    "evaluation.latency_repeats": 5,
}

Add = Callable[..., None]


def digits(add: Add, size: str, base: Mapping[str, Any]) -> Add:
    """Returns what adds a training run on cluttered digits to a sweep.

    Args:
        add: Of the sweep.
        size: Of the sweep; in a small one runs are short.
        base: Values by dotted key, for every run.

    Returns:
        `run(method, argument, setting, seed, **changes)`: `argument` is that of
        configs/cluttered_digits.py, changes are by section and key, joined by `__`.
        Methods whose gates have no density go without the points of `base`.
    """

    def run(method: str, argument: str, setting: str, seed: int, **changes: Any):
        own: Any = METHODS[argument.partition(",")[0]].get_config()
        idle = [f"evaluation.{key}" for key in own.get("evaluation", ())]
        common = {key: value for key, value in base.items() if key not in idle}
        quick = _QUICK if size == "small" else {}
        dotted = {key.replace("__", "."): value for key, value in changes.items()}
        add(
            config=f"configs/cluttered_digits.py:{argument}",
            method=method,
            setting=setting,
            seed=seed,
            overrides={**quick, **common, **dotted},
        )

    return run


def add_dense(run: Add, size: str, seed: int):
    """Adds the dense network, "whole", and the narrower ones, "whole, BUDGET".

    Args:
        run: As `digits` returns it.
        size: Of the sweep.
        seed: Of the runs.
    """
    run("dense", "dense", "whole", seed)
    for budget in DENSE_BUDGETS[size]:
        widths = {f"model__{key}": value for key, value in NARROWER[budget].items()}
        run("narrower", "dense", f"whole, {budget:g}", seed, **widths)


def finely(size: str) -> dict[str, Any]:
    """Changes that evaluate a baseline of any budget at every eighth; none if small.

    Between its points a baseline is read by a line, below a curve that is concave: the
    fewer they are, the more that favours what is compared. They cost no training.
    """
    return dict(evaluation__densities=EIGHTHS) if size == "full" else {}


def pi_controller(target: float) -> dict[str, float]:
    """Changes that hold a gate of a varying count at a target for its MACs."""
    return dict(budget__target=target)


def number_of_seeds(rows: Collection[Row]) -> int:
    """Number of the different seeds of some rows."""
    return len({row["seed"] for row in rows})
