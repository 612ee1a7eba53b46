"""The budgets: what a training may spend, one row a way to say so."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

_NONE = dict(
    density_sampling=None,
    penalties={},  # by their files in dynsparse/budgets/penalties
    budget_constraint=None,
    budget_sharing=None,
    density_ramp=None,
    distillation=None,
)


class Budget(NamedTuple):
    """A row of the table.

    Attributes:
        name: Third word of `--config=configs/TASK.py:METHOD,MODEL,BUDGET`.
        paper: Source of the method; "" for what has none.
        advice: When to use it, in one line.
        sections: What it sets.
    """

    name: str
    paper: str
    advice: str
    sections: Mapping[str, Any]

    def get_config(self) -> ConfigDict:
        """Returns the sections that the budget adds to a task."""
        return ConfigDict(_NONE | dict(self.sections))


_SANDWICH = dict(
    density_sampling=dict(name="sandwich", low=0.1, high=1.0, draws=1),
    distillation=dict(weight=0.5, temperature=1.0, features=0.0),
)
_ROWS = (
    Budget(
        "free",
        "",
        "Whatever the gate opens by itself: nothing is asked of it.",
        {},
    ),
    Budget(
        "one_density",
        "",
        "One density from the first step to the last: the model for one budget.",
        dict(density_sampling=dict(name="uniform", low=0.5, high=0.5, full=0.0)),
    ),
    Budget(
        "log_uniform",
        "",
        "A random density at every step: one model for any budget, at no extra cost.",
        dict(
            density_sampling=dict(
                name="log_uniform",
                low=0.1,  # lowest density that a step draws
                high=1.0,
                full=0.25,  # share of the steps that run at full density
            )
        ),
    ),
    Budget(
        "sandwich",
        "Yu and Huang, 2019, arXiv:1903.05134",
        "Any budget, distilled: the largest, the smallest and a random density at "
        "every step, for three times the cost.",
        _SANDWICH,
    ),
    Budget(
        "shared_budget",
        "",
        "As sandwich, and what each layer gets of the budget is learned.",
        _SANDWICH | dict(budget_sharing=dict(temperature=1.0)),  # of the shares
    ),
    Budget(
        "target_rate",
        "Veit and Belongie, 2018, arXiv:1711.11503",
        "Penalises each layer's density towards a target.",
        dict(
            penalties=dict(
                target_rate=dict(
                    target=0.5,  # mean fraction of open units, per gated layer
                    weight=2.0,  # multiplies (mean open_prob - target)^2
                )
            )
        ),
    ),
    Budget(
        "mac_target",
        "Verelst and Tuytelaars, 2020, arXiv:1912.03203",
        "Penalises the MACs of the whole network towards a target, with annealed "
        "bounds.",
        dict(
            penalties=dict(
                mac_target=dict(
                    target=0.5,  # fraction of the dense MACs
                    weight=10.0,
                    bounds_until=0.33,  # share of the run
                )
            )
        ),
    ),
    Budget(
        "pi_controller",
        "Sohrabi et al., 2024, arXiv:2406.04558",
        "Holds the MACs of gates of a varying count at a target: no weight to tune.",
        dict(
            budget_constraint=dict(
                target=0.5,  # fraction of the dense MACs
                at_most=False,
                leak=0.05,  # so that the price reaches what is surely open or closed
                look_every=5,  # steps, at what evaluation spends
                look_from=0.4,  # share of the run
                calibrate=True,  # at the end, by a shift of the scores
                controller=dict(
                    name="pi_controller",
                    integral=0.15,  # per step and unit of excess
                    proportional=3.0,
                    smoothing=0.5,
                    slack=0.1,  # below the target, where the price is dropped
                    initial=0.0,
                    largest=10.0,
                ),
            )
        ),
    ),
)
BUDGETS = {row.name: row for row in _ROWS}
