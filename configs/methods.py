"""The methods: how units are scored and chosen, one row a method."""

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ml_collections import ConfigDict

MLP = dict(name="mlp", hidden=24)  # the scorer that learned gates read
UNREAD = dict(name="evenly_spaced")  # costs nothing, for gates that read no scores


class Method(NamedTuple):
    """A row of the table.

    Attributes:
        name: What follows the colon of `--config=configs/TASK.py:NAME`.
        paper: Source of the method; "" for what has none.
        advice: When to use it, in one line.
        gate: Keys of the gate but its density, which is a key of the budget; it is
            called like the method where they name none.
        budget: Row of configs/budgets.py that it trains by, unless a command asks for
            another.
        scorer: Keys of the scorer.
        temperature_schedule: Keys of the schedule; None for a constant temperature.
        weight_decay: Of matrices and kernels of gates and scorers.
        control: Whether it is what learned gates are held against.
    """

    name: str
    paper: str
    advice: str
    gate: Mapping[str, Any] = MappingProxyType({})
    budget: str = "free"
    scorer: Mapping[str, Any] = MLP
    temperature_schedule: Mapping[str, Any] | None = None
    weight_decay: float = 0.05
    control: bool = False

    def get_config(self) -> ConfigDict:
        """Returns the sections that the method adds to a task, but for its budget."""
        schedule = self.temperature_schedule
        has_parameters = self.scorer["name"] not in ("evenly_spaced", "magnitude")
        config = ConfigDict(
            dict(
                gate={"name": self.name, **self.gate},
                scorer=dict(self.scorer),
                temperature_schedule=None if schedule is None else dict(schedule),
                gate_optimizer=dict(  # for the parameters of gates and scorers
                    learning_rate_scale=1.0,  # times the learning rate of the others
                    weight_decay=self.weight_decay,
                )
                if has_parameters
                else None,
            )
        )
        if self.budget != "log_uniform":  # the gate has no density to evaluate at
            config.evaluation = ConfigDict(dict(densities=(), budgets=()))
        return config


# Exactly k of n units: one model for any budget.
_topk = functools.partial(Method, budget="log_uniform")
# Each unit by itself, so that the count follows the input: a penalty holds its mean.
_varying = functools.partial(Method, budget="target_rate")
_ROWS = (
    _topk(
        "soft_topk",
        "Amos, Koltun and Kolter, 2019, arXiv:1906.08707",
        "Start here: exact budgets, a dense gradient, stable; other curves by "
        "`--config.gate.family=laplace`.",
        dict(temperature=3.0, family="logistic"),
    ),
    _topk(
        "gumbel_topk",
        "Kool, van Hoof and Welling, 2019, arXiv:1903.06059",
        "Top-k that explores: the scores are perturbed while training.",
        dict(temperature=3.0),
    ),
    _topk(
        "perturbed_topk",
        "Berthet et al., 2020, arXiv:2002.08676",
        "A mean over perturbed top-k masks; slow, 32 of them a step.",
        dict(sigma=0.5, num_samples=32),
    ),
    _topk(
        "dftopk",
        "Zhu et al., 2025, arXiv:2510.11472",
        "The cheapest relaxation: one threshold, no iteration.",
        dict(temperature=3.0),
    ),
    _topk(
        "relaxed_subset",
        "Xie and Ermon, 2019, arXiv:1901.10517",
        "k softmaxes in a row: slow where many units are open.",
        dict(temperature=1.0),
    ),
    _topk(
        "neural_sort",
        "Grover, Wang, Zweig and Ermon, 2019, arXiv:1903.08850",
        "Relaxes a whole sort: quadratic in the number of units.",
        dict(temperature=50.0),
    ),
    _topk(
        "soft_sort",
        "Prillo and Eisenschlos, 2020, arXiv:2006.16038",
        "A simpler relaxed sort: quadratic in the number of units.",
        dict(temperature=1.0),
    ),
    _topk(
        "imle",
        "Niepert, Minervini and Franceschi, 2021, arXiv:2106.01798",
        "A finite difference of top-k: masks stay hard, `step` needs tuning.",
        dict(step=1000.0),
    ),
    _topk(
        "simple",
        "Ahmed, Zeng, Niepert and Van den Broeck, 2023, arXiv:2210.01941",
        "Exact samples of k units with the gradient of their exact marginals.",
        dict(temperature=1.0),
    ),
    _topk(
        "systematic_topk",
        "Madow, 1949",
        "Soft top-k, rounded at random to exactly k units.",
        dict(temperature=1.0, family="logistic"),
    ),
    _topk(
        "capped_entmax",
        "Peters, Niculae and Martins, 2019, arXiv:1905.05702",
        "A relaxation that is exactly 0 for units far below the threshold.",
        dict(temperature=3.0, alpha=1.5),
    ),
    _varying(
        "gumbel_sigmoid",
        "Jang, Gu and Poole, 2016, arXiv:1611.01144",
        "Start here for gates whose count follows the input.",
        dict(temperature=1.0),
    ),
    _varying(
        "hard_concrete",
        "Louizos, Welling and Kingma, 2018, arXiv:1712.01312",
        "Soft masks that are exactly 0 or 1 part of the time.",
        dict(temperature=2 / 3, low=-0.1, high=1.1),
    ),
    _varying(
        "bernoulli_straight_through",
        "Bengio, Leonard and Courville, 2013, arXiv:1308.3432",
        "Hard samples with the gradient of their mean: nothing to tune.",
    ),
    _varying(
        "sigmoid_straight_through",
        "Bengio, Leonard and Courville, 2013, arXiv:1308.3432",
        "No noise: training and evaluation decide alike.",
        dict(temperature=1.0),
    ),
    _varying(
        "binary_concrete",
        "Maddison, Mnih and Teh, 2016, arXiv:1611.00712",
        "Soft samples, hardened by a falling temperature.",
        dict(temperature=1.0),
        temperature_schedule=dict(final=0.3, until=0.8),
    ),
    _varying(
        "semantic_hash",
        "Kaiser and Bengio, 2018, arXiv:1801.09797",
        "Noisy saturated sigmoids, rounded half of the time.",
    ),
    _varying(
        "reinmax",
        "Liu, Dong, Liu, Yu and Gao, 2023, arXiv:2304.08612",
        "Straight-through of second order: less bias, more variance.",
        dict(temperature=1.0),
    ),
    _varying(
        "learned_threshold",
        "Hua, Zhou, De Sa, Zhang and Suh, 2019, arXiv:1805.12549",
        "Opens what exceeds a number that is learned.",
        dict(temperature=0.5, threshold=0.0),
        weight_decay=0.0,
    ),
    _varying(
        "smooth_step",
        "Hazimeh et al., 2020, arXiv:2002.07772",
        "A cubic step: soft inside a band, exact outside.",
        dict(width=8.0),
    ),
    _varying(
        "relu_routing",
        "Wang, Zhu and Chen, 2024, arXiv:2412.14711",
        "The positive part of the score is the mask.",
    ),
    _varying(
        "reinforce",
        "Williams, 1992; Kool, van Hoof and Welling, 2019",
        "Learns from losses alone, unbiased for any loss; several passes a step.",
        dict(samples=2),
    ),
    _varying(
        "disarm",
        "Dong, Mnih and Tucker, 2020, arXiv:2006.10680",
        "Like REINFORCE with less variance, in models with one gated layer.",
    ),
    # What opens is set by the gate itself.
    Method(
        "ema_threshold",
        "Sun, Liu, Wu and Sun, 2026, arXiv:2603.11535",
        "Top-k while training, a causal threshold after: for streams and decoders.",
        dict(temperature=3.0, decay=0.99),
        "fixed",
    ),
    Method(
        "gumbel_softmax",
        "Jang, Gu and Poole, 2016, arXiv:1611.01144",
        "Exactly one open unit: for experts.",
        dict(temperature=1.0),
    ),
    Method(
        "sparsemax",
        "Martins and Astudillo, 2016, arXiv:1602.02068",
        "The temperature alone sets the density: no penalty moves it.",
        dict(temperature=1.0),
    ),
    Method(
        "nucleus",
        "Huang et al., 2024, arXiv:2403.07652",
        "The fewest units that hold probability p: more where the scores are unsure.",
        dict(p=0.5, temperature=1.0),
    ),
    # What learned gates are held against.
    Method(
        "dense",
        "",
        "No gate: the network that every curve starts from.",
        scorer=UNREAD,
        control=True,
    ),
    _topk(
        "random_topk",
        "",
        "Random units: the control of every gate with an exact count.",
        scorer=UNREAD,
        control=True,
    ),
    Method(
        "random_bernoulli",
        "",
        "Each unit at random: the control of every gate of a varying count.",
        budget="fixed",
        scorer=UNREAD,
        control=True,
    ),
    _topk(
        "static",
        "",
        "Static pruning: soft top-k of learned scores that ignore the input.",
        dict(name="soft_topk", temperature=3.0, family="logistic"),
        scorer=dict(name="static"),
        weight_decay=0.0,  # a vector
        control=True,
    ),
    _topk(
        "magnitude",
        "",
        "The units of the largest features, which nothing learns to score.",
        dict(name="hard_topk"),
        scorer=dict(name="magnitude"),
        control=True,
    ),
    _topk(
        "evenly_spaced",
        "",
        "Units that lie evenly along their axis, whatever the input.",
        dict(name="hard_topk"),
        scorer=UNREAD,
        control=True,
    ),
    _topk(
        "hard_topk",
        "",
        "Top-k without a gradient: scores stay as they were initialised.",
        control=True,
    ),
)
METHODS = {row.name: row for row in _ROWS}
