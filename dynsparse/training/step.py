"""One training step on plain arrays."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from dynsparse.budgets import set_density
from dynsparse.gates.base import Gate, GateRecord, records
from dynsparse.training.annealing import temperatures
from dynsparse.training.losses import objective
from dynsparse.training.settings import Settings

State = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Trainer:
    """Turns a model into a state of plain arrays and steps it.

    The state holds `params`, `variables` (everything else of the model but its random
    streams), `optimizer`, `key` and `step`: all that a checkpoint needs, since what is
    random in a step depends on the key and the step alone.

    Attributes:
        graphdef: The model's structure.
        streams: Its random streams, which every step seeds anew.
        transform: The optimizer.
        settings: Of the run: what a step reads of them are the density's sampling and
            penalty, the temperature schedule and the number of steps.
        gates: The gates by the name of their records, for their surrogates.
        samples: Passes of a step, as many as the gate that wants most.
    """

    graphdef: nnx.GraphDef
    streams: dict[str, Any]
    transform: optax.GradientTransformation
    settings: Settings
    gates: dict[str, Gate]
    samples: int

    @classmethod
    def create(
        cls,
        model: nnx.Module,
        transform: optax.GradientTransformation,
        settings: Settings,
    ) -> tuple["Trainer", State]:
        """Returns the trainer of `model` and the state before the first step.

        Raises:
            ValueError: If a temperature is to be annealed and no gate has one, or a
                gate that has to be the only one is not.
        """
        gates = find_gates(model)
        _check_gates(model, gates, settings)
        graphdef, streams, params, variables = nnx.split(
            model, nnx.RngState, nnx.Param, ...
        )
        params = nnx.to_pure_dict(params)
        state = dict(
            params=params,
            variables=nnx.to_pure_dict(variables),
            optimizer=transform.init(params),
            key=jax.random.key(settings.seed),
            step=jnp.zeros((), jnp.int32),
        )
        trainer = cls(
            graphdef,
            nnx.to_pure_dict(streams),
            transform,
            settings,
            gates,
            max([1, *(gate.samples for gate in gates.values())]),
        )
        return trainer, state

    def model(self, state: State) -> nnx.Module:
        """Returns the model with the parameters of `state`."""
        return nnx.merge(
            self.graphdef, self.streams, state["params"], state["variables"]
        )

    def step(self, state: State, images: jax.Array, labels: jax.Array):
        """Returns the next state and the metrics of the batch.

        Pure; compile it with `compile_step`.
        """
        density_key, noise_key = jax.random.split(
            jax.random.fold_in(state["key"], state["step"])
        )

        def loss(params):
            model = self.model(state | dict(params=params))
            if self.settings.density_sampling is not None:
                set_density(model, self.settings.density_sampling(density_key))
            passes = [
                self._run(model, noise_key, sample, images)
                for sample in range(self.samples)
            ]
            logits, decisions = jax.tree.map(lambda *leaves: jnp.stack(leaves), *passes)
            value, metrics = objective(
                logits, labels, decisions, self.gates, self.settings.penalties
            )
            if self.settings.temperature_schedule is not None:
                metrics["temperature"] = temperatures(model)[0][...]
                self._anneal(model, state["step"])
            *_, variables = nnx.split(model, nnx.RngState, nnx.Param, ...)
            return value, (metrics, nnx.to_pure_dict(variables))

        (_, (metrics, variables)), gradient = jax.value_and_grad(loss, has_aux=True)(
            state["params"]
        )
        updates, optimizer = self.transform.update(
            gradient, state["optimizer"], state["params"]
        )
        metrics["gradient_norm"] = optax.tree.norm(gradient)
        return dict(
            params=optax.apply_updates(state["params"], updates),
            variables=variables,
            optimizer=optimizer,
            key=state["key"],
            step=state["step"] + 1,
        ), metrics

    def _run(self, model: nnx.Module, key: jax.Array, sample: int, images: jax.Array):
        """Returns the logits and decisions of one pass; all draw from one key."""
        reseed(model, key)
        view: Any = model
        if self.samples > 1:
            view = nnx.view(model, sample=sample)
        logits, captured = nnx.capture(view, GateRecord)(to_float(images))
        return logits, records(captured)

    def _anneal(self, model: nnx.Module, step: jax.Array):
        schedule, plan = self.settings.temperature_schedule, self.settings.train
        if schedule is not None:
            for node in temperatures(model):
                node[...] = schedule(node[...], step, plan.num_steps)


def find_gates(model: nnx.Module) -> dict[str, Gate]:
    """The gates of `model` by the path of their layer, as their records are named."""
    return {
        "/".join(map(str, path[:-1])): gate
        for path, gate in nnx.iter_modules(model)
        if isinstance(gate, Gate)
    }


def _check_gates(model: nnx.Module, gates: dict[str, Gate], settings: Settings):
    if settings.temperature_schedule is not None and not temperatures(model):
        raise ValueError("temperature_schedule: the model has no gate that has one.")
    alone = [type(gate).__name__ for gate in gates.values() if not gate.joint]
    if alone and len(gates) > 1:
        raise ValueError(
            f"gate: {alone[0]} learns in models with one gated layer, this one has "
            f"{len(gates)}; reinforce takes any number."
        )


def compile_step(trainer: Trainer):
    """Returns `trainer.step` compiled; the state passed in is given up to it."""
    return jax.jit(trainer.step, donate_argnums=0)


def reseed(model: nnx.Module, key: jax.Array):
    """Seeds every random stream of `model` from `key`, in place."""
    tags = {
        node.key.tag
        for _, node in nnx.iter_graph(model)
        if isinstance(node, nnx.RngStream)
    }
    keys = jax.random.split(key, max(len(tags), 1))
    nnx.reseed(model, **dict(zip(sorted(tags), keys, strict=False)))


def to_float(images: jax.Array) -> jax.Array:
    """Maps 0 to 255 onto [0, 1], in float32."""
    return images.astype(jnp.float32) / 255
