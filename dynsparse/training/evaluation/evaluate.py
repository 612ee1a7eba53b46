"""Evaluation over a split: predictions, decisions, and what the decisions cost."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from dynsparse.budgets import averages_at, fix_densities, set_density
from dynsparse.costs import Bill, itemize
from dynsparse.data import Split
from dynsparse.gates import GateRecord, evaluating, records
from dynsparse.training.prepare import PreparedRun
from dynsparse.training.step import State, Trainer, reseed

_NOISE = 2**32 - 1  # folded into the key of a run: no step of training draws from it
_BATCHES = 16  # training batches from which norms are estimated at a density


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Answers and decisions of a model over a split.

    Attributes:
        predictions: Predicted class of each example.
        masks: Whether each unit ran for each example, by gated layer.
        probabilities: `open_prob` of each unit for each example, by gated layer.
        accuracy: Share of right predictions, in [0, 1].
        loss: Mean cross-entropy, in nats.
    """

    predictions: Int[np.ndarray, "n"]
    masks: dict[str, Bool[np.ndarray, "n *rows units"]]
    probabilities: dict[str, Float[np.ndarray, "n *rows units"]]
    accuracy: float
    loss: float


Forward = Callable[..., Any]


def compile_forward(
    trainer: Trainer,
    *,
    noise: bool = False,
    densities: Mapping[str, float] = MappingProxyType({}),
    **view: Any,
) -> Forward:
    """Returns a forward pass in evaluation, compiled once for all equal trainers.

    Args:
        trainer: Trainer of the run, which holds the model's structure.
        noise: Whether gates decide as in training.
        densities: Density of each layer, static, for compact execution
            (`budgets.densities_at`).
        **view: Options of `gates.evaluating`, such as `execution="compact"`.

    Returns:
        `forward(state, images, key, density=None) -> (logits, decisions by layer)`.
        `key` seeds gates that are random; `density` sets the `Density` variables, which
        masked execution reads, and may change without another compilation.
    """
    asked = _View(noise, tuple(sorted(densities.items())), tuple(sorted(view.items())))

    def call(state: State, images, key, density: float | None = None):
        weights = {name: state[name] for name in ("params", "variables")}
        traced = None if density is None else jnp.float32(density)
        return _forward(trainer, asked, weights, images, key, traced)

    return call


class _View(NamedTuple):
    """Hashable arguments of `compile_forward`."""

    noise: bool
    densities: tuple[tuple[str, float], ...]
    options: tuple[tuple[str, Any], ...]


@functools.partial(jax.jit, static_argnums=(0, 1))
def _forward(trainer: Trainer, asked: _View, weights, images, key, density):
    view = evaluating(trainer.model(weights), **dict(asked.options))
    model = fix_densities(view, dict(asked.densities))
    if asked.noise:
        model = nnx.view(model, deterministic=False, raise_if_not_found=False)
    reseed(model, key)
    if density is not None:
        set_density(model, density)
    logits, captured = nnx.capture(model, GateRecord)(trainer.inputs(images))
    return logits, records(captured)


def evaluation_key(state: State) -> jax.Array:
    """Key that a pass draws from, once folded with the place of its batch."""
    return jax.random.fold_in(state["key"], _NOISE)


def evaluate(
    forward: Forward,
    state: State,
    split: Split,
    *,
    batch_size: int,
    density: float | None = None,
) -> Evaluation:
    """Runs `forward` over all of `split`, the last batch padded.

    Random decisions depend on the seed of the run and the place in the split: every
    pass replays them, and another seed draws anew, as intervals over seeds assume.

    Args:
        forward: Forward pass from `compile_forward`.
        state: State with the parameters and the key of the run.
        split: Examples to answer.
        batch_size: Examples per pass.
        density: Density of top-k gates in masked execution, in [0, 1]; None leaves
            that of the state.
    """
    key = evaluation_key(state)
    predictions, masks, probabilities, losses = [], [], [], []
    for start in range(0, len(split), batch_size):
        chosen = np.arange(start, start + batch_size) % len(split)
        logits, decisions = forward(
            state, split.images[chosen], jax.random.fold_in(key, start), density
        )
        predictions.append(np.asarray(logits).argmax(-1))
        losses.append(_cross_entropy(np.asarray(logits), split.labels[chosen]))
        masks.append({n: np.asarray(d.mask) > 0 for n, d in decisions.items()})
        probabilities.append({n: np.asarray(d.open_prob) for n, d in decisions.items()})
    n = len(split)
    answered = np.concatenate(predictions)[:n]
    join = lambda batches: {
        name: np.concatenate([batch[name] for batch in batches])[:n]
        for name in batches[0]
    }
    return Evaluation(
        predictions=answered,
        masks=join(masks),
        probabilities=join(probabilities),
        accuracy=float((answered == split.labels).mean()),
        loss=float(np.concatenate(losses)[:n].mean()),
    )


def audit(
    prepared: PreparedRun,
    state: State,
    split: Split,
    *,
    forward: Forward | None = None,
) -> tuple[Evaluation, Bill]:
    """Evaluates a state in masked execution and bills its decisions.

    Args:
        prepared: Run of the state.
        state: State with the parameters.
        split: Examples to answer.
        forward: Forward pass from `compile_forward`, instead of masked execution.
    """
    answers = evaluate(
        forward or compile_forward(prepared.trainer),
        state,
        split,
        batch_size=prepared.settings.evaluation.batch_size,
    )
    bill = itemize(prepared.prices, answers.masks, num_examples=len(split))
    return answers, bill


def at_densities(
    prepared: PreparedRun, state: State, densities: Sequence[float | None]
) -> dict[float | None, State]:
    """Re-estimates the running averages of BatchNorm at each of some densities.

    Args:
        prepared: Run of the state.
        state: State with the parameters, and with averages over all densities of the
            training.
        densities: Densities of the top-k gates together, in [0, 1]; None, for models
            without top-k gates, leaves the averages as they are.

    Returns:
        A state for each density: `state` itself for models without BatchNorm.
    """
    trainer = prepared.trainer
    if not nnx.state(trainer.model(state), nnx.BatchStat):
        return dict.fromkeys(densities, state)
    inputs, states = training_inputs(prepared), {}
    for density in densities:
        model = trainer.model(state)
        if density is not None:
            nnx.update(model, averages_at(model, density, inputs))
        states[density] = state | dict(variables=trainer.variables(model))
    return states


def training_inputs(prepared: PreparedRun) -> list[Float[Array, "batch *shape"]]:
    """First batches of the training, as the model is called with them.

    >>> from dynsparse.configs import cluttered_digits
    >>> config = cluttered_digits.get_config("soft_topk")
    >>> config.data.num_train = config.data.num_validation = config.data.num_test = 64
    >>> inputs = training.training_inputs(training.prepare(config.to_dict()))
    >>> len(inputs), inputs[0].shape
    (16, (64, 28, 28, 1))

    Args:
        prepared: Run from `prepare`.
    """
    images = (prepared.batches[index][0] for index in range(_BATCHES))
    return [prepared.dataset.inputs(jnp.asarray(batch)) for batch in images]


def _cross_entropy(
    logits: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    logits = logits.astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    right = np.take_along_axis(logits, labels[:, None], -1)[:, 0]
    return np.log(np.exp(logits).sum(-1)) - right
