"""One training step on plain arrays."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from dynsparse.budgets import DensityLoss, DensitySampling, set_density
from dynsparse.gates.base import GateRecord, records
from dynsparse.training.losses import objective

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
        density_sampling: Draws each step's density, or None to leave it.
        density_loss: Penalty, or None.
    """

    graphdef: nnx.GraphDef
    streams: dict[str, Any]
    transform: optax.GradientTransformation
    density_sampling: DensitySampling | None
    density_loss: DensityLoss | None

    @classmethod
    def create(
        cls,
        model: nnx.Module,
        transform: optax.GradientTransformation,
        *,
        density_sampling: DensitySampling | None,
        density_loss: DensityLoss | None,
        seed: int,
    ) -> tuple["Trainer", State]:
        """Returns the trainer of `model` and the state before the first step."""
        graphdef, streams, params, variables = nnx.split(
            model, nnx.RngState, nnx.Param, ...
        )
        params = nnx.to_pure_dict(params)
        state = dict(
            params=params,
            variables=nnx.to_pure_dict(variables),
            optimizer=transform.init(params),
            key=jax.random.key(seed),
            step=jnp.zeros((), jnp.int32),
        )
        trainer = cls(
            graphdef,
            nnx.to_pure_dict(streams),
            transform,
            density_sampling,
            density_loss,
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
            reseed(model, noise_key)
            if self.density_sampling is not None:
                set_density(model, self.density_sampling(density_key))
            logits, captured = nnx.capture(model, GateRecord)(to_float(images))
            value, metrics = objective(
                logits, labels, records(captured), self.density_loss
            )
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
