"""Checks the config of a run and builds its parts, before the first step."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from flax import nnx

from dynsparse import data, gates, models, tasks
from dynsparse._internal.program_key import program_key
from dynsparse._internal.registry import Config
from dynsparse.budgets import Policy, density_map, has_density
from dynsparse.costs import Prices, budget_of, largest_density
from dynsparse.gates import Gate, TopkGate, gated_modules
from dynsparse.layers.units.width import NestedScorer
from dynsparse.models.base.images import PatchGrid
from dynsparse.tasks import Task
from dynsparse.training.batches import Batches
from dynsparse.training.folder.checkpoint import has_checkpoint
from dynsparse.training.init_from import start_from
from dynsparse.training.optimizer import make_optimizer
from dynsparse.training.placement import Placement
from dynsparse.training.settings import Settings, TrainSettings
from dynsparse.training.sizes import check_sizes
from dynsparse.training.step import State, Trainer


@dataclasses.dataclass(frozen=True)
class PreparedRun:
    """A run before its first step, from `prepare`: settings, data, model and state.

    >>> from dynsparse.configs import cluttered_digits
    >>> config = cluttered_digits.get_config("soft_topk")
    >>> config.data.num_train = config.data.num_validation = config.data.num_test = 64
    >>> run = training.prepare(config.to_dict())
    >>> run.prices.dense, run.densities[:3]
    (4704480, (1.0, 0.75, 0.5))

    Attributes:
        settings: Of the run.
        config: Plain values of the whole config.
        task: What is learned, with its data.
        batches: Training examples by step.
        trainer: Steps the state.
        initial_state: Before the first step.
        prices: Of the model.
        notes: What is otherwise than the config says, in words.
        densities: Points of the curve before training, from dense to sparse; (None,)
            for a model whose gates fix no density.
        grid: Where the tokens lie, for models that have them.
    """

    settings: Settings
    config: Mapping[str, Any]
    task: Task
    batches: Batches
    trainer: Trainer
    initial_state: State
    prices: Prices
    notes: tuple[str, ...]
    densities: tuple[float | None, ...]
    grid: PatchGrid | None


def prepare(
    config: Mapping[str, Any],
    task: Task | None = None,
    *,
    resumed: bool = False,
    trains: bool = True,
) -> PreparedRun:
    """Builds the run that `config` describes.

    >>> from dynsparse.configs import cluttered_digits
    >>> config = cluttered_digits.get_config("soft_topk")
    >>> config.data.num_train = config.data.num_validation = config.data.num_test = 64
    >>> run = training.prepare(config.to_dict())
    >>> int(run.initial_state["step"])
    0

    Args:
        config: Sections `data`, `task`, `model`, `gate`, `scorer`, `budget`,
            `optimizer`, `gate_optimizer`, `train`, `evaluation`,
            `temperature_schedule`, the number `seed`, and `names`, which is not read.
        task: That of the sections `data` and `task`, where it is there already.
        resumed: Whether a checkpoint takes the place of its first state, for which
            `train.init_from` is then not read.
        trains: Whether the run is to be trained here. Otherwise neither its training
            data nor its devices have to be there, and `train.init_from` is not read.

    Raises:
        ValueError: If any name, key, value or file is not accepted.
    """
    settings = Settings.from_config(config)
    seed, policy = settings.seed, settings.budget
    models.check(config["model"], tasks.model_keys(config["task"]))
    check_sizes(config)
    # Before data are made: the ranges of a gate, and another run that must be there.
    gate_keys = gate_section(config["gate"], policy)
    gate = gates.from_config(gate_keys, rngs=nnx.Rngs(seed))
    _check_points(gate, config["gate"]["name"], settings)
    source = settings.train.init_from if trains and not resumed else None
    if source and not has_checkpoint(pathlib.Path(source)):
        raise ValueError(f"train.init_from: {source[:_SHOWN]} has no checkpoint.")
    if task is None:
        splits = data.from_config(config["data"])
        task = tasks.from_config(config["task"], splits)
    if trains:
        _check_batch(settings.train, len(task.train), task.noun)
    model = models.from_config(
        config["model"],
        gate=gate_keys,
        scorer=config["scorer"],
        example=task.example(2),
        rngs=nnx.Rngs(seed),
        **task.model,
    )
    _check_scorer(model, config["scorer"])
    prices = Prices(model, task.example())
    curves = prices.layer_cost_curves()
    policy.attach(model, {name: curve.costs[-1] for name, curve in curves.items()})
    densities = find_densities(model, prices, settings)
    trainer, state = Trainer.create(
        model,
        make_optimizer(
            settings.optimizer,
            settings.gate_optimizer,
            settings.train.num_steps,
            model,
        ),
        settings,
        prices,
        task,
    )
    notes = _notes(config, settings)
    if source:
        state, note = start_from(pathlib.Path(source), state, model)
        notes += (note,)
    grid = getattr(model, "grid", None)
    return PreparedRun(
        settings=settings,
        config=config,
        task=task,
        batches=Batches(task.train, batch_size=settings.train.batch_size, seed=seed),
        trainer=trainer,
        initial_state=state,
        prices=prices,
        notes=notes,
        densities=densities,
        grid=grid if isinstance(grid, PatchGrid) else None,
    )


def prepare_together(
    configs: Sequence[Mapping[str, Any]], resumed: Sequence[bool] = ()
) -> list[PreparedRun]:
    """Builds runs that can train together, on one task.

    >>> from dynsparse.configs import cluttered_digits
    >>> config = cluttered_digits.get_config("dense")
    >>> config.data.num_train = config.data.num_validation = config.data.num_test = 64
    >>> seeds = [config.to_dict() | dict(seed=seed) for seed in (0, 1)]
    >>> [run.settings.seed for run in training.prepare_together(seeds)]
    [0, 1]

    Args:
        configs: As in `prepare`.
        resumed: As there, of each; none is by default.

    Raises:
        ValueError: If they differ in more than seeds and weights of penalties, or one
            is not accepted.
    """
    resumed = resumed or [False] * len(configs)
    first = prepare(configs[0], resumed=resumed[0])
    if len({program_key(config) for config in configs}) > 1:
        raise ValueError(
            "runs train together if their configs differ in `seed` and in the weights "
            "of `budget.penalties` alone."
        )
    others = zip(configs[1:], resumed[1:], strict=True)
    return [first, *(prepare(c, first.task, resumed=r) for c, r in others)]


def gate_section(section: Config, policy: Policy) -> dict[str, Any]:
    """The section `gate` of a config, with the density that its budget trains at.

    Args:
        section: Without a density, which the budget alone sets.
        policy: Of the run.

    Raises:
        ValueError: If the section has a density, or the policy does not go with the
            gate.
    """
    keys = dict(section)
    if "density" in keys:
        raise ValueError(
            "gate: the density is the budget's; accepted: budget.density of the budget "
            f"fixed, got {keys['density']!r} here."
        )
    if "name" not in keys or not isinstance(keys["name"], str):
        return keys  # for `gates` to refuse
    return keys | policy.gate_keys(gates.find(keys["name"]))


def least_density(prepared: PreparedRun) -> float:
    """Lowest density that a run is trained at; 1 for gates without a density.

    >>> from dynsparse.configs import cluttered_digits
    >>> config = cluttered_digits.get_config("soft_topk")
    >>> config.data.num_train = config.data.num_validation = config.data.num_test = 64
    >>> training.least_density(training.prepare(config.to_dict()))
    0.1

    Args:
        prepared: Run from `prepare`.
    """
    return prepared.settings.budget.lowest


def find_densities(
    model: nnx.Module, prices: Prices, settings: Settings
) -> tuple[float | None, ...]:
    """The densities of a curve, from dense to sparse.

    Those that are asked for, those that budgets buy, and that of a budget of one
    density.

    A density that a budget buys is left out where one that was asked for opens the same
    units, and so costs the same.

    Args:
        model: What a budget buys depends on its `BudgetShares`, if it has any.
        prices: Of the model.
        settings: Of the run.
    """
    if not has_density(model):
        return (None,)
    wanted, spread = settings.evaluation, density_map(model)
    asked = {*map(float, wanted.densities), *settings.budget.points}
    costs = {budget_of(prices, density, spread) for density in asked}
    bought = {largest_density(prices, budget, spread) for budget in wanted.budgets}
    new = {d for d in bought if budget_of(prices, d, spread) not in costs}
    return tuple(sorted(asked | new, reverse=True))


def _check_batch(plan: TrainSettings, examples: int, noun: str):
    """Refuses a batch that the training examples or the devices cannot serve."""
    if examples < plan.batch_size:
        raise ValueError(
            f"train: batch_size {plan.batch_size} exceeds the {examples} training "
            f"{noun}s."
        )
    Placement(num_devices=plan.num_devices, batch_size=plan.batch_size)


def _check_points(gate: Gate, name: str, settings: Settings):
    """Refuses points of a curve for a gate without a density, and a curve of none."""
    wanted = settings.evaluation
    found = dict(densities=tuple(wanted.densities), budgets=tuple(wanted.budgets))
    if isinstance(gate, TopkGate):
        if not any(found.values()) and not settings.budget.points:
            raise ValueError("evaluation: needs at least one density or budget.")
        return
    idle = [f"{key} {values}" for key, values in found.items() if values]
    if idle:
        raise ValueError(
            f"evaluation: {' and '.join(idle)} change nothing: {name} has no density, "
            "and is evaluated as it is; accepted: () for both."
        )


def _check_scorer(model: nnx.Module, scorer: Mapping[str, Any]):
    """Refuses a scorer that no layer asks."""
    layers = [getattr(layer, "scorer", None) for layer in gated_modules(model).values()]
    nested = [isinstance(layer, NestedScorer) for layer in layers]
    if nested and all(nested) and scorer["name"] != "evenly_spaced":
        raise ValueError(
            "scorer: the slices of a width are nested and need no scores; accepted: "
            f"evenly_spaced, as in the method of that name, got {scorer['name']}."
        )


def _notes(config: Mapping[str, Any], settings: Settings) -> tuple[str, ...]:
    asked = config["optimizer"]["warmup_steps"]
    given = settings.optimizer.warmup_steps
    if asked == given:
        return ()
    return (
        f"optimizer: warmup_steps={asked} leaves nothing of "
        f"{settings.train.num_steps} steps; they are {given} here",
    )


_SHOWN = 200  # characters of a name in an error
