"""The settings of a run, checked once."""

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from dynsparse._internal.ranges import (
    SEED,
    Accepts,
    Checked,
    Count,
    CountOrZero,
    Fraction,
    NotNegative,
    Positive,
    PositiveFraction,
    is_seed,
)
from dynsparse._internal.registry import read
from dynsparse._internal.sections import check_sections
from dynsparse.budgets.policies.base import Policy
from dynsparse.reports import MOST_EXAMPLES
from dynsparse.training.annealing import TemperatureSchedule

_WARM = 5  # a short run warms up in one of so many steps
_Shown = Accepts(lambda x: 0 <= x <= MOST_EXAMPLES, f"in [0, {MOST_EXAMPLES}]")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerSettings(Checked):
    """AdamW with gradient clipping, linear warm-up and cosine decay to zero.

    Attributes:
        learning_rate: At the end of the warm-up, > 0.
        warmup_steps: >= 0.
        weight_decay: Of matrices and kernels; biases and norms have none.
        clip_norm: Largest global norm of a gradient, > 0.
    """

    learning_rate: Positive
    warmup_steps: CountOrZero
    weight_decay: NotNegative
    clip_norm: Positive

    def fitted(self, num_steps: int) -> "OptimizerSettings":
        """These settings with a warm-up that leaves most of a short run.

        Args:
            num_steps: Of the run.
        """
        if self.warmup_steps < num_steps:
            return self
        return dataclasses.replace(self, warmup_steps=num_steps // _WARM)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GateOptimizerSettings(Checked):
    """What AdamW does otherwise to the parameters of gates and scorers.

    Attributes:
        learning_rate_scale: Times the learning rate of the others, > 0.
        weight_decay: Of their matrices and kernels, >= 0.
    """

    learning_rate_scale: Positive
    weight_decay: NotNegative


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSettings(Checked):
    """How long to train, and what to do how often; numbers >= 1, most in steps.

    Attributes:
        num_steps: Of the whole run.
        batch_size: Examples per step.
        log_every: Metrics to TensorBoard and metrics.jsonl.
        eval_every: Validation.
        checkpoint_every: What a kill can lose at most.
        num_devices: Number of devices each batch is sharded over.
        init_from: Folder of another run, whose weights this one starts from; "" for
            none.
        check_first_step: Whether the first step is computed without fusion too, and
            the run stopped where its gradient is another one.
    """

    num_steps: Count
    batch_size: Count
    log_every: Count
    eval_every: Count
    checkpoint_every: Count
    num_devices: Count
    init_from: str
    check_first_step: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationSettings(Checked):
    """The points of the curve and how they are measured.

    Attributes:
        densities: Fractions of units, in [0, 1], at which top-k gates are evaluated;
            none for gates of another kind.
        budgets: Fractions of the dense MACs, in (0, 1]: each adds the largest density
            that it pays for; likewise.
        batch_size: Of every pass, the timed ones included.
        latency_repeats: Passes of which the median time is reported.
        num_examples: Test examples that the task draws, at most 32.
    """

    densities: Sequence[Fraction]
    budgets: Sequence[PositiveFraction]
    batch_size: Count
    latency_repeats: Count
    num_examples: Annotated[int, _Shown]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything of a config that is neither data nor model.

    Raises:
        ValueError: If the seed is negative.
    """

    seed: int
    budget: Policy
    optimizer: OptimizerSettings
    gate_optimizer: GateOptimizerSettings | None
    train: TrainSettings
    evaluation: EvaluationSettings
    temperature_schedule: TemperatureSchedule | None

    def __post_init__(self):
        if not is_seed(self.seed):
            raise ValueError(f"seed must be {SEED}, got {self.seed!r}.")

    def of_steps(self) -> tuple[Any, ...]:
        """Returns all that a compiled step reads; equal ones make equal programs.

        The seed and the weights of the penalties are numbers that its state holds.
        """
        return (
            self.budget.without_weights(),
            self.optimizer,
            self.gate_optimizer,
            self.train.num_steps,
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
        hints = typing.get_type_hints(cls)
        found = {name: read(hint, config[name], name) for name, hint in hints.items()}
        steps = found["train"].num_steps
        return cls(**found | dict(optimizer=found["optimizer"].fitted(steps)))
