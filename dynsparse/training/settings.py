"""The settings of a run, checked once."""

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from dynsparse._internal.ranges import SEED, check, check_types, is_seed
from dynsparse._internal.sections import check_sections
from dynsparse._internal.suggest import did_you_mean
from dynsparse.budgets import (
    BudgetConstraint,
    BudgetSharing,
    DensityRamp,
    Distillation,
    controllers,
    penalties,
    sampling,
)
from dynsparse.budgets.penalties import Penalty
from dynsparse.budgets.sampling import DensitySampling
from dynsparse.reports import MOST_IMAGES
from dynsparse.training.annealing import TemperatureSchedule


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """AdamW with gradient clipping, linear warm-up and cosine decay to zero.

    Attributes:
        learning_rate: At the end of the warm-up, > 0.
        warmup_steps: >= 0.
        weight_decay: Of matrices and kernels; biases and norms have none.
        clip_norm: Largest global norm of a gradient, > 0.
    """

    learning_rate: float
    warmup_steps: int
    weight_decay: float
    clip_norm: float

    def fitted(self, num_steps: int) -> "OptimizerSettings":
        """With a warm-up that leaves most of a short run to what follows it.

        Args:
            num_steps: Of the run.
        """
        if self.warmup_steps < num_steps:
            return self
        return dataclasses.replace(self, warmup_steps=num_steps // _WARM)

    def __post_init__(self):
        check(self, "learning_rate", self.learning_rate > 0, "> 0")
        check(self, "warmup_steps", self.warmup_steps >= 0, ">= 0")
        check(self, "weight_decay", self.weight_decay >= 0, ">= 0")
        check(self, "clip_norm", self.clip_norm > 0, "> 0")


@dataclasses.dataclass(frozen=True, kw_only=True)
class GateOptimizerSettings:
    """What AdamW does otherwise to the parameters of gates and scorers.

    Attributes:
        learning_rate_scale: Times the learning rate of the others, > 0.
        weight_decay: Of their matrices and kernels, >= 0.
    """

    learning_rate_scale: float
    weight_decay: float

    def __post_init__(self):
        check(self, "learning_rate_scale", self.learning_rate_scale > 0, "> 0")
        check(self, "weight_decay", self.weight_decay >= 0, ">= 0")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How long to train, and what to do how often; numbers >= 1, most in steps.

    Attributes:
        num_steps: Of the whole run.
        batch_size: Examples per step.
        log_every: Metrics to TensorBoard and metrics.jsonl.
        eval_every: Validation.
        checkpoint_every: What a kill can lose at most.
        num_devices: That share every batch.
        init_from: Folder of another run, whose weights this one starts from; "" for
            none.
        check_first_step: Whether the first step is computed without fusion too, and
            the run stopped where its gradient is another one.
    """

    num_steps: int
    batch_size: int
    log_every: int
    eval_every: int
    checkpoint_every: int
    num_devices: int
    init_from: str
    check_first_step: bool

    def __post_init__(self):
        for name, value in vars(self).items():
            number = type(value) is int
            check(self, name, not number or value >= 1, ">= 1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """The points of the curve and how they are measured.

    Attributes:
        densities: Fractions of units, in [0, 1], at which top-k gates are evaluated;
            none for gates of another kind.
        budgets: Fractions of the dense MACs, in (0, 1]: each adds the largest density
            that it pays for; likewise.
        batch_size: Of every pass, the timed ones included.
        latency_repeats: Passes of which the median time is reported.
        num_images: Test images in kept.png, at most 32.
    """

    densities: Sequence[float]
    budgets: Sequence[float]
    batch_size: int
    latency_repeats: int
    num_images: int

    def __post_init__(self):
        within = all(0 <= value <= 1 for value in self.densities)
        check(self, "densities", within, "within [0, 1]")
        positive = all(0 < value <= 1 for value in self.budgets)
        check(self, "budgets", positive, "within (0, 1]")
        for name in ("batch_size", "latency_repeats"):
            check(self, name, getattr(self, name) >= 1, ">= 1")
        drawn = 1 <= self.num_images <= MOST_IMAGES
        check(self, "num_images", drawn, f"within [1, {MOST_IMAGES}]")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything of a config that is neither data nor model.

    Raises:
        ValueError: If the seed is negative, or two sections do not go together.
    """

    seed: int
    optimizer: OptimizerSettings
    gate_optimizer: GateOptimizerSettings | None
    train: TrainSettings
    evaluation: EvaluationSettings
    penalties: tuple[Penalty, ...]
    budget_constraint: BudgetConstraint | None
    budget_sharing: BudgetSharing | None
    density_sampling: DensitySampling | None
    density_ramp: DensityRamp | None
    distillation: Distillation | None
    temperature_schedule: TemperatureSchedule | None

    def __post_init__(self):
        if not is_seed(self.seed):
            raise ValueError(f"seed must be {SEED}, got {self.seed!r}.")
        if self.density_ramp is not None and not (
            self.density_sampling or self.budget_constraint
        ):
            raise ValueError(
                "density_ramp: there is neither a density_sampling nor a "
                "budget_constraint whose densities it could move."
            )
        if self.budget_sharing is not None and self.density_sampling is None:
            raise ValueError(
                "budget_sharing: needs a density_sampling, whose densities it divides."
            )
        if self.distillation is not None and (
            self.density_sampling is None or self.density_sampling.passes == 1
        ):
            raise ValueError(
                "distillation: needs a density_sampling of several passes, such as "
                "sandwich: the first is the teacher of the others."
            )

    def of_steps(self) -> tuple[Any, ...]:
        """Returns all that a compiled step reads; equal ones make equal programs.

        The seed and the weights of the penalties are numbers that its state holds.
        """
        return (
            self.optimizer,
            self.gate_optimizer,
            self.train.num_steps,
            tuple(dataclasses.replace(p, weight=0.0) for p in self.penalties),
            self.budget_constraint,
            self.budget_sharing,
            self.density_sampling,
            self.density_ramp,
            self.distillation,
            self.temperature_schedule,
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Settings":
        """Reads the sections of `config`.

        Raises:
            ValueError: If a section or a key is missing or unknown, or a value out of
                range.
        """
        check_sections(config)
        optional = {
            name: None if config[name] is None else _section(kind, config, name)
            for name, kind in (
                ("gate_optimizer", GateOptimizerSettings),
                ("budget_constraint", BudgetConstraint),
                ("budget_sharing", BudgetSharing),
                ("density_ramp", DensityRamp),
                ("distillation", Distillation),
                ("temperature_schedule", TemperatureSchedule),
            )
        }
        drawn = config["density_sampling"]
        train = _section(TrainSettings, config, "train")
        optimizer = _section(OptimizerSettings, config, "optimizer")
        return cls(
            seed=config["seed"],
            optimizer=optimizer.fitted(train.num_steps),
            train=train,
            evaluation=_section(EvaluationSettings, config, "evaluation"),
            penalties=tuple(
                penalties.from_config(_keys(f"penalties.{name}", section, name=name))
                for name, section in _keys("penalties", config["penalties"]).items()
            ),
            density_sampling=None if drawn is None else sampling.from_config(drawn),
            **optional,
        )


_WARM = 5  # a short run warms up in one of so many steps


def _keys(called: str, section: Any, **more: Any) -> dict[str, Any]:
    """The values of a section by key, and more."""
    if not hasattr(section, "keys"):
        raise ValueError(f"{called} must be a section of keys, got {section!r}.")
    return dict(section) | more


def _section(kind: type, config: Mapping[str, Any], name: str):
    values = _keys(name, config[name])
    accepted = [field.name for field in dataclasses.fields(kind)]
    for key in values:
        if key not in accepted:
            raise ValueError(
                f"{name}: unknown key {key!r}; accepted: {accepted}"
                f"{did_you_mean(key, accepted)}"
            )
    for key in accepted:
        if key not in values:
            raise ValueError(f"{name}: missing key {key!r}")
    check_types(name, typing.get_type_hints(kind), values)
    if "controller" in values:
        controller = _keys(f"{name}.controller", values["controller"])
        values["controller"] = controllers.from_config(controller)
    return kind(**values)
