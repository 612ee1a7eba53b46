"""One training step on plain arrays."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from dynsparse._internal.structure import Structure
from dynsparse.costs import Prices
from dynsparse.data import Dataset
from dynsparse.gates import (
    Density,
    Gate,
    GateRecord,
    evaluating,
    find_gates,
    records,
)
from dynsparse.models.base import Features
from dynsparse.training.annealing import temperatures
from dynsparse.training.budgeting import Budgeting
from dynsparse.training.losses import objective
from dynsparse.training.settings import Settings

State = dict[str, Any]

_AUGMENTED = 2**32 - 1  # folded into the key of a step: what no pass draws from


@dataclasses.dataclass(frozen=True, eq=False)
class Trainer:
    """Turns a model into a state of plain arrays and steps it.

    The state holds `params`, `variables` (everything else of the model but its random
    streams), `optimizer`, `constraint`, `weights` of the penalties, `key` and `step`:
    all that a checkpoint needs, since what is random in a step depends on the key and
    the step alone; and all in which runs of one program differ (`training.program`).
    Trainers of such runs are equal, so that `jax.jit` takes one for the other.

    Attributes:
        structure: The model's.
        streams: Its random streams, which every step seeds anew.
        transform: The optimizer.
        settings: Of the run.
        gates: The gates by the name of their records, for their surrogates.
        samples: Passes of a step: as many as the gate that wants most, or as there are
            densities.
        budgeting: What a step may spend.
        inputs: Images as the model takes them, `Dataset.inputs`.
        augment: Images as training sees them, `Dataset.augment`.
    """

    structure: Structure
    streams: dict[str, Any]
    transform: optax.GradientTransformation
    settings: Settings
    gates: dict[str, Gate]
    samples: int
    budgeting: Budgeting
    inputs: Callable[[jax.Array], jax.Array]
    augment: Callable[[jax.Array, jax.Array], Any]

    @classmethod
    def create(
        cls,
        model: nnx.Module,
        transform: optax.GradientTransformation,
        settings: Settings,
        prices: Prices,
        dataset: Dataset,
    ) -> tuple["Trainer", State]:
        """Returns the trainer of `model` and the state before the first step.

        Raises:
            ValueError: If a temperature is to be annealed and no gate has one, a gate
                that has to be the only one is not, gates and densities both want
                several passes, or a target cannot be met.
        """
        gates = find_gates(model)
        _check_gates(model, gates, settings)
        budgeting = Budgeting.create(model, settings, prices)
        densities = budgeting.passes
        samples = max([1, *(gate.samples for gate in gates.values())])
        if densities > 1 and samples > 1:
            raise ValueError(
                f"density_sampling: {densities} passes of a step and a gate that wants "
                f"{samples} of its own do not go together."
            )
        structure, streams, params, variables = Structure.split(
            model, nnx.RngState, nnx.Param, ...
        )
        params = nnx.to_pure_dict(params)
        state = dict(
            params=params,
            variables=nnx.to_pure_dict(variables),
            optimizer=transform.init(params),
            constraint=budgeting.init(),
            weights=[jnp.float32(penalty.weight) for penalty in settings.penalties],
            key=jax.random.key(settings.seed),
            step=jnp.zeros((), jnp.int32),
        )
        trainer = cls(
            structure,
            nnx.to_pure_dict(streams),
            transform,
            settings,
            gates,
            max(samples, densities),
            budgeting,
            dataset.inputs,
            dataset.augment,
        )
        return trainer, state

    @functools.cached_property
    def _program(self) -> tuple[Any, ...]:
        steps = self.settings.of_steps()
        return (self.structure, steps, self.samples, self.inputs, self.augment)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Trainer) and self._program == other._program

    def __hash__(self) -> int:
        return self._hash

    @functools.cached_property
    def _hash(self) -> int:
        return hash(self._program)

    def model(self, state: State) -> nnx.Module:
        """Returns the model with the parameters of `state`."""
        return self.structure.merge(self.streams, state["params"], state["variables"])

    def variables(self, model: nnx.Module) -> dict[str, Any]:
        """What of `model` is neither a parameter nor a random stream."""
        *_, variables = nnx.split(model, nnx.RngState, nnx.Param, ...)
        return nnx.to_pure_dict(variables)

    def step(self, state: State, images: jax.Array, labels: jax.Array):
        """Returns the next state and the metrics of the batch.

        Pure; `training.program` compiles it.
        """
        key = jax.random.fold_in(state["key"], state["step"])
        density_key, noise_key = jax.random.split(key)
        images = self.augment(images, jax.random.fold_in(key, _AUGMENTED))
        progress = state["step"] / self.settings.train.num_steps
        budgeting = self.budgeting
        weighed = zip(self.settings.penalties, state["weights"], strict=True)
        penalties = dict(weighed)
        decide = lambda: self._run(evaluating(self.model(state)), noise_key, 0, images)
        spent = budgeting.measure_eval_cost(
            state["step"], progress, lambda: decide()[1]
        )

        def loss(params, density_offsets):
            model = self.model(state | dict(params=params))
            densities = [(node, node[...]) for node in _densities(model)]
            passes = []
            for index in range(self.samples):
                budgeting.set_density(
                    model, density_key, index, progress, density_offsets
                )
                passes.append(self._run(model, noise_key, index, images))
            logits, decisions, features = jax.tree.map(
                lambda *leaves: jnp.stack(leaves), *passes
            )
            usage = budgeting.usage(decisions, progress)
            value, metrics = objective(
                logits,
                labels,
                usage,
                self.gates,
                penalties,
                self.settings.distillation,
                list(features.values()),
            )
            for node, density in densities:  # what was drawn is that step's alone
                node[...] = density
            value, constraint, prices = budgeting.constrain(
                state["constraint"], value, usage, spent
            )
            if self.settings.temperature_schedule is not None:
                metrics["temperature"] = temperatures(model)[0][...]
                self._anneal(model, state["step"])
            metrics |= prices | dict(loss=value)
            return value, (metrics, self.variables(model), constraint)

        learn = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
        (_, aux), (gradient, slopes) = learn(
            state["params"], budgeting.density_offsets()
        )
        metrics, variables, constraint = aux
        metrics |= budgeting.shadow_prices(slopes)
        updates, optimizer = self.transform.update(
            gradient, state["optimizer"], state["params"]
        )
        metrics["gradient_norm"] = optax.tree.norm(gradient)
        return dict(
            params=optax.apply_updates(state["params"], updates),
            variables=variables,
            optimizer=optimizer,
            constraint=constraint,
            weights=state["weights"],
            key=state["key"],
            step=state["step"] + 1,
        ), metrics

    def _run(self, model: nnx.Module, key: jax.Array, sample: int, images: jax.Array):
        """The logits, decisions and features of one pass; all draw from one key."""
        reseed(model, key)
        view: Any = model
        if self.samples > 1:
            view = nnx.view(model, sample=sample)
        logits, captured, read = nnx.capture(view, GateRecord, Features)(
            self.inputs(images)
        )
        return logits, records(captured), records(read, Features)

    def _anneal(self, model: nnx.Module, step: jax.Array):
        schedule, plan = self.settings.temperature_schedule, self.settings.train
        if schedule is not None:
            for node in temperatures(model):
                node[...] = schedule(node[...], step, plan.num_steps)


def _densities(model: nnx.Module) -> list[Density]:
    return [node for _, node in nnx.iter_graph(model) if isinstance(node, Density)]


def _check_gates(model: nnx.Module, gates: dict[str, Gate], settings: Settings):
    if settings.temperature_schedule is not None and not temperatures(model):
        raise ValueError("temperature_schedule: the model has no gate that has one.")
    alone = [type(gate).__name__ for gate in gates.values() if not gate.joint]
    if alone and len(gates) > 1:
        raise ValueError(
            f"gate: {alone[0]} learns in models with one gated layer, this one has "
            f"{len(gates)}; reinforce takes any number."
        )


def reseed(model: nnx.Module, key: jax.Array):
    """Seeds every random stream of `model` from `key`, in place."""
    tags = {
        node.key.tag
        for _, node in nnx.iter_graph(model)
        if isinstance(node, nnx.RngStream)
    }
    keys = jax.random.split(key, max(len(tags), 1))
    nnx.reseed(model, **dict(zip(sorted(tags), keys, strict=False)))
