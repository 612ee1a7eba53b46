"""The table of budgets, third word of `--config`: a policy and its keys in each row."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict


class Budget(NamedTuple):
    """A row of the table.

    Attributes:
        name: Third word of `--config=configs/TASK.py:METHOD,MODEL,BUDGET`.
        paper: Source of the method; "" for what has none.
        advice: When to use it, in one line.
        policy: Name of the policy, a file of dynsparse/budgets/policies.
        keys: The other keys of the section `budget`.
    """

    name: str
    paper: str
    advice: str
    policy: str
    keys: Mapping[str, Any]

    def get_config(self) -> ConfigDict:
        """Returns the section `budget` of a config."""
        config = ConfigDict(dict(name=self.policy, penalties={}))
        if self.policy != "penalised":
            config.ramp = (
                None  # or form, start and until, to begin with everything open
            )
        config.update(self.keys)
        return config


_RANDOM = dict(low=0.1, high=1.0, full=0.25)  # density 1 in that share of the steps
_SANDWICH = dict(
    sampling=dict(name="sandwich", low=0.1, high=1.0, draws=1),
    distillation=dict(weight=0.5, temperature=1.0, features=0.0),
)
_RATE = dict(
    target_rate=dict(
        target=0.5,  # mean fraction of open units, per gated layer
        weight=2.0,  # multiplies (mean open_prob - target)^2
    )
)


def _controlled(
    name: str, paper: str, advice: str, *, initial: float = 0.0, **keys: Any
) -> Budget:
    controller = dict(name=name, **keys, initial=initial, largest=10.0)
    constraint = dict(
        target=0.5,  # fraction of the dense MACs
        upper_bound=False,
        leak=0.05,  # so that the price reaches what is surely open or closed
        measure_every=5,  # steps, what evaluation spends
        measure_from=0.4,  # share of the run
        calibrate=True,  # at the end, by a shift of the scores
        controller=controller,
    )
    return Budget(name, paper, advice, "constrained", constraint)


def _penalised(name: str, paper: str, advice: str, **penalties: Any) -> Budget:
    return Budget(name, paper, advice, "penalised", dict(penalties=penalties))


_any = functools.partial(Budget, policy="any")
_ROWS = (
    # For gates with a density, such as top-k.
    Budget(
        "fixed",
        "",
        "One density from the first step to the last: the model for one budget.",
        "fixed",
        dict(density=0.5),
    ),
    _any(
        "log_uniform",
        "",
        "A random density at every step, low ones as often as high ones: one model for "
        "any budget, at no extra cost.",
        keys=dict(sampling=dict(name="log_uniform", **_RANDOM), distillation=None),
    ),
    _any(
        "uniform",
        "",
        "The same with all densities equally likely.",
        keys=dict(sampling=dict(name="uniform", **_RANDOM), distillation=None),
    ),
    _any(
        "sandwich",
        "Yu and Huang, 2019, arXiv:1903.05134",
        "Any budget, distilled: the largest, the smallest and a random density at "
        "every step, for three times the cost.",
        keys=_SANDWICH,
    ),
    Budget(
        "shared",
        "",
        "As sandwich, and what each layer gets of the budget is learned.",
        "shared",
        dict(temperature=1.0, **_SANDWICH),  # of the shares
    ),
    # For gates whose count follows the input.
    _penalised(
        "free", "", "Whatever the gate opens by itself: nothing is asked of it."
    ),
    _penalised(
        "target_rate",
        "Veit and Belongie, 2018, arXiv:1711.11503",
        "Penalises each layer's density towards a target.",
        **_RATE,
    ),
    _penalised(
        "mac_target",
        "Verelst and Tuytelaars, 2020, arXiv:1912.03203",
        "Penalises the MACs of the network towards a target, with annealed bounds.",
        mac_target=dict(
            target=0.5,  # fraction of the dense MACs
            weight=10.0,
            bounds_until=0.33,  # share of the run
        ),
    ),
    _penalised(
        "usage_l1",
        "Meng et al., 2021, arXiv:2111.15668",
        "Penalises the distance of the MACs from a target; 0 prices every MAC.",
        usage_l1=dict(target=0.5, weight=1.0),
    ),
    _penalised(
        "batch_shaping",
        "Bejnordi, Blankevoort and Welling, 2020, arXiv:1907.06627",
        "A target, and early on gates that are open for some inputs and closed for "
        "others.",
        **_RATE,
        batch_shaping=dict(alpha=0.6, beta=0.4, until=0.5, weight=0.75),
    ),
    _penalised(
        "load_balance",
        "Fedus, Zoph and Shazeer, 2021, arXiv:2101.03961",
        "A target, and units that are equally busy: for experts.",
        **_RATE,
        load_balance=dict(form="load", weight=0.01),
    ),
    _penalised(
        "diversity",
        "Gomes, Krause and Perona, 2010",
        "A target, and decisions that tell inputs apart.",
        **_RATE,
        diversity=dict(weight=0.1),
    ),
    _controlled(
        "pi_controller",
        "Sohrabi et al., 2024, arXiv:2406.04558",
        "Start here for a target: a controller prices MACs until evaluation spends it.",
        integral=0.15,  # per step and unit of excess
        proportional=3.0,
        smoothing=0.5,
        slack=0.1,  # below the target, where the price is dropped
    ),
    _controlled(
        "dual_ascent",
        "Gallego-Posada et al., 2022, arXiv:2208.04425",
        "The same by gradient ascent on the price alone.",
        rate=0.15,
        restart=False,
    ),
    _controlled(
        "sign_controller",
        "Wang, Zhu and Chen, 2024, arXiv:2412.14711",
        "The same by factors: free of the scale of the price.",
        factor=1.1,
        band=0.01,
        smallest=1e-3,
        initial=0.1,
    ),
    _controlled(
        "bias_balancing",
        "Wang et al., 2024, arXiv:2408.15664",
        "The same by steps of one size, which no outlier moves further.",
        rate=0.02,
    ),
    _controlled(
        "ema_threshold",
        "Sun, Liu, Wu and Sun, 2026, arXiv:2603.11535",
        "The same by a moving average.",
        decay=0.9,
    ),
)
BUDGETS = {row.name: row for row in _ROWS}
