"""Evaluation without noise: accuracy and decisions over a split."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float, Int

from dynsparse.budgets import fix_densities, set_density
from dynsparse.data import Split
from dynsparse.gates import GateRecord, evaluating, records
from dynsparse.training.step import State, Trainer, reseed

_NOISE = 2**32 - 1  # folded into the key of a run: what no step of training draws from


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What a model answered over a split.

    Attributes:
        predictions: The class of each example.
        masks: By gated layer, which units ran for each example.
        probabilities: Likewise, their `open_prob`.
        accuracy: Share of right predictions, in [0, 1].
        loss: Mean cross-entropy.
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
    """Returns evaluation, which is compiled once for all equal trainers.

    Args:
        trainer: Holds the model.
        noise: Whether gates decide as in training.
        densities: By layer, static, for compact execution (`budgets.densities_at`).
        **view: Of `gates.evaluating`, such as `execution="compact"`.

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
    """The arguments of `compile_forward`, hashable."""

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
    """The key that a pass draws from, folded with the place of its batch."""
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

    What is random here depends on the seed of the run and the place in the split: every
    pass replays it, and another seed draws anew, as intervals over seeds assume.

    Args:
        forward: From `compile_forward`.
        state: Holds the parameters, and the key of the run.
        split: What to answer.
        batch_size: Examples per pass.
        density: For `forward`, where it runs masked execution.
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


def _cross_entropy(
    logits: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    logits = logits.astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    right = np.take_along_axis(logits, labels[:, None], -1)[:, 0]
    return np.log(np.exp(logits).sum(-1)) - right
