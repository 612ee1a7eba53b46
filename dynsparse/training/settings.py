"""The settings of a run, checked once."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from dynsparse.budgets import DensityLoss, DensitySampling, LoadBalanceLoss
from dynsparse.training.annealing import TemperatureSchedule

Penalty = DensityLoss | LoadBalanceLoss


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

    def __post_init__(self):
        _check("optimizer", self, "learning_rate", lambda v: v > 0, "> 0")
        _check("optimizer", self, "warmup_steps", lambda v: v >= 0, ">= 0")
        _check("optimizer", self, "weight_decay", lambda v: v >= 0, ">= 0")
        _check("optimizer", self, "clip_norm", lambda v: v > 0, "> 0")


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
        _check("gate_optimizer", self, "learning_rate_scale", lambda v: v > 0, "> 0")
        _check("gate_optimizer", self, "weight_decay", lambda v: v >= 0, ">= 0")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How long to train, and what to do how often; all in steps, at least 1.

    Attributes:
        num_steps: Of the whole run.
        batch_size: Examples per step.
        log_every: Metrics to TensorBoard and metrics.jsonl.
        eval_every: Validation.
        checkpoint_every: What a kill can lose at most.
    """

    num_steps: int
    batch_size: int
    log_every: int
    eval_every: int
    checkpoint_every: int

    def __post_init__(self):
        for field in dataclasses.fields(self):
            _check("train", self, field.name, lambda v: v >= 1, ">= 1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """The points of the curve and how they are measured.

    Attributes:
        densities: Fractions of units, in [0, 1], at which top-k gates are evaluated.
        budgets: Fractions of the dense MACs, in (0, 1]: each adds the largest density
            that it pays for.
        batch_size: Of every pass, the timed ones included.
        latency_repeats: Passes of which the median time is reported.
        num_pictures: Test pictures in kept.png.
    """

    densities: tuple[float, ...]
    budgets: tuple[float, ...]
    batch_size: int
    latency_repeats: int
    num_pictures: int

    def __post_init__(self):
        within = lambda values: all(0 <= value <= 1 for value in values)
        _check("evaluation", self, "densities", within, "within [0, 1]")
        positive = lambda values: all(0 < value <= 1 for value in values)
        _check("evaluation", self, "budgets", positive, "within (0, 1]")
        if not self.densities and not self.budgets:
            raise ValueError("evaluation: needs at least one density or budget.")
        for name in ("batch_size", "latency_repeats", "num_pictures"):
            _check("evaluation", self, name, lambda v: v >= 1, ">= 1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything of a config that is neither data nor model."""

    seed: int
    optimizer: OptimizerSettings
    gate_optimizer: GateOptimizerSettings
    train: TrainSettings
    evaluation: EvaluationSettings
    density_sampling: DensitySampling | None
    density_loss: DensityLoss | None
    load_balance: LoadBalanceLoss | None
    temperature_schedule: TemperatureSchedule | None

    @property
    def penalties(self) -> list[Penalty]:
        """What the decisions of a batch add to its loss."""
        both = (self.density_loss, self.load_balance)
        return [penalty for penalty in both if penalty is not None]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Settings":
        """Reads the sections of `config`.

        Raises:
            ValueError: If a key is missing or unknown, or a value out of range.
        """
        optional = {
            name: None if config[name] is None else _section(kind, config, name)
            for name, kind in (
                ("density_sampling", DensitySampling),
                ("density_loss", DensityLoss),
                ("load_balance", LoadBalanceLoss),
                ("temperature_schedule", TemperatureSchedule),
            )
        }
        return cls(
            seed=config["seed"],
            optimizer=_section(OptimizerSettings, config, "optimizer"),
            gate_optimizer=_section(GateOptimizerSettings, config, "gate_optimizer"),
            train=_section(TrainSettings, config, "train"),
            evaluation=_section(EvaluationSettings, config, "evaluation"),
            **optional,
        )


def _section(kind: type, config: Mapping[str, Any], name: str):
    values = dict(config[name])
    accepted = [field.name for field in dataclasses.fields(kind)]
    for key in values:
        if key not in accepted:
            raise ValueError(f"{name}: unknown key {key!r}; accepted: {accepted}")
    for key in accepted:
        if key not in values:
            raise ValueError(f"{name}: missing key {key!r}")
    return kind(**values)


def _check(section: str, settings, name: str, holds, accepted: str):
    value = getattr(settings, name)
    if not holds(value):
        raise ValueError(f"{section}: {name} must be {accepted}, got {value}.")
