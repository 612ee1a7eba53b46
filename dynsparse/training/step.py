"""One training step, a pure function of plain arrays."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from dynsparse._internal.structure import Structure
from dynsparse.budgets import (
    Usage,
    as_evaluated,
    find_shares,
    set_density,
    shadow_prices,
)
from dynsparse.costs import PriceCurve, Prices
from dynsparse.gates import (
    Density,
    Gate,
    GateRecord,
    evaluating,
    find_gates,
    records,
)
from dynsparse.models.base.heads import Features
from dynsparse.tasks import Batch, Task
from dynsparse.training.annealing import anneal, temperatures
from dynsparse.training.losses import objective
from dynsparse.training.settings import Settings

State = dict[str, Any]

_AUGMENTED = 2**32 - 1  # folded into the key of a step: what no pass draws from


@dataclasses.dataclass(frozen=True, eq=False)
class Trainer:
    """Makes plain arrays of a model and steps them.

    The state holds `params`, `variables` (everything else of the model but its random
    streams), `optimizer`, `budget`, `key` and `step`. A checkpoint needs no more, since
    randomness depends on the key and the step alone. Runs of one program differ only in
    their states (`training.program`): their trainers are equal, so that `jax.jit` takes
    one for the other.

    Attributes:
        structure: Structure of the model.
        streams: Random streams of the model, which every step seeds anew.
        transform: Optimizer.
        settings: Settings of the run.
        gates: Gates by the name of their records, for their surrogates.
        samples: Passes of a step: as many as densities, or as the gate that needs most.
        prices: Price of each layer, as in `Usage`.
        floor: Fraction of the dense MACs that no gate closes.
        task: Inputs, losses and scores.
    """

    structure: Structure
    streams: dict[str, Any]
    transform: optax.GradientTransformation
    settings: Settings
    gates: dict[str, Gate]
    samples: int
    prices: Mapping[str, PriceCurve]
    floor: float
    task: Task

    @classmethod
    def create(
        cls,
        model: nnx.Module,
        transform: optax.GradientTransformation,
        settings: Settings,
        prices: Prices,
        task: Task,
    ) -> tuple["Trainer", State]:
        """Returns the trainer of `model` and the state before the first step.

        Args:
            model: Model, gated or not.
            transform: Optimizer.
            settings: Settings of the run.
            prices: Prices of the model.
            task: What is learned.

        Raises:
            ValueError: If a temperature is to be annealed and no gate has one, a gate
                that has to be the only one is not, gates and densities both want
                several passes, or a target cannot be met.
        """
        gates, policy = find_gates(model), settings.budget
        _check_gates(model, gates, settings)
        floor = prices.floor / prices.dense
        policy.check(gates, floor)
        samples = max([1, *(gate.samples for gate in gates.values())])
        if policy.passes > 1 and samples > 1:
            raise ValueError(
                f"budget: {policy.passes} passes of a step and a gate that wants "
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
            budget=policy.init(),
            key=jax.random.key(settings.seed),
            step=jnp.zeros((), jnp.int32),
        )
        trainer = cls(
            structure,
            nnx.to_pure_dict(streams),
            transform,
            settings,
            gates,
            max(samples, policy.passes),
            prices.layer_cost_curves(),
            floor,
            task,
        )
        return trainer, state

    @functools.cached_property
    def _program(self) -> tuple[Any, ...]:
        steps = self.settings.of_steps()
        return (self.structure, steps, self.samples, self.task)

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
        """Returns the variables of `model` but parameters and random streams."""
        *_, variables = nnx.split(model, nnx.RngState, nnx.Param, ...)
        return nnx.to_pure_dict(variables)

    def step(self, state: State, batch: Batch) -> tuple[State, dict[str, jax.Array]]:
        """Returns the next state and the metrics of the batch.

        Pure; `training.program` compiles it.

        Args:
            state: State before the step.
            batch: Examples, as the task has them.
        """
        policy, num_steps = self.settings.budget, self.settings.train.num_steps
        progress = state["step"] / num_steps
        key = jax.random.fold_in(state["key"], state["step"])
        density_key, noise_key = jax.random.split(key)
        batch = self.task.augment(batch, jax.random.fold_in(key, _AUGMENTED))
        densities = policy.densities(density_key, progress)

        def evaluate() -> Usage:
            answer = self._run(evaluating(self.model(state)), noise_key, 0, batch)
            return self._usage(as_evaluated(answer[1]), 0.0)

        spent = policy.measure(state["step"], progress, evaluate)

        def loss(params, offsets):
            model = self.model(state | dict(params=params))
            passes = self._passes(model, noise_key, densities, offsets, batch)
            outputs, decisions, features = passes
            usage = self._usage(decisions, progress)
            value, metrics = objective(
                self.task,
                outputs,
                batch,
                usage,
                self.gates,
                policy,
                list(features.values()),
            )
            budget = state["budget"]
            if decisions:
                added, budget, told = policy.loss(budget, usage, spent)
                value += added
                metrics |= told | dict(loss=value)
            metrics |= anneal(
                model, self.settings.temperature_schedule, state["step"], num_steps
            )
            return value, (metrics, self.variables(model), budget)

        shared = find_shares(self.model(state)) is not None
        offsets = {name: jnp.float32(0) for name in self.prices if shared}
        learn = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
        (_, aux), (gradient, slopes) = learn(state["params"], offsets)
        metrics, variables, budget = aux
        metrics |= shadow_prices(slopes, self.prices)
        metrics["gradient_norm"] = optax.tree.norm(gradient)
        updates, optimizer = self.transform.update(
            gradient, state["optimizer"], state["params"]
        )
        after = dict(
            params=optax.apply_updates(state["params"], updates),
            variables=variables,
            optimizer=optimizer,
            budget=budget,
            key=state["key"],
            step=state["step"] + 1,
        )
        return after, metrics

    def _passes(
        self,
        model: nnx.Module,
        key: jax.Array,
        densities: jax.Array | None,
        offsets: Mapping[str, jax.Array],
        batch: Batch,
    ):
        """Outputs, decisions and features, [passes, ...], each pass at its density."""
        nodes = [node for _, node in nnx.iter_graph(model) if isinstance(node, Density)]
        resting = [node[...] for node in nodes]
        passes = []
        for index in range(self.samples):
            if densities is not None:
                set_density(model, densities[index % len(densities)], offsets)
            passes.append(self._run(model, key, index, batch))
        for node, density in zip(nodes, resting, strict=True):
            node[...] = density  # what was drawn is that of this step alone
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *passes)

    def _run(self, model: nnx.Module, key: jax.Array, sample: int, batch: Batch):
        """Outputs, decisions and features of one pass; all passes draw from one key."""
        reseed(model, key)
        view: Any = nnx.view(model, sample=sample) if self.samples > 1 else model
        kinds = (GateRecord, Features)[: 1 + self.settings.budget.reads_features]
        outputs, *captured = self.task.call(batch)(nnx.capture(view, *kinds))
        features = records(captured[1], Features) if len(captured) > 1 else {}
        return outputs, records(captured[0]), features

    def _usage(self, decisions: dict[str, Any], progress: Any) -> Usage:
        return Usage(
            decisions=decisions, prices=self.prices, floor=self.floor, progress=progress
        )


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
    seeds = dict(zip(sorted(tags), keys, strict=False))
    nnx.reseed(model, policy="match_shape", **seeds)  # layers of a stack draw their own
