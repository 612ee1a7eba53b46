"""What estimator_quality compares with: expected losses by enumeration, in float64."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsparse import ops

SCORES = np.array([0.8, -0.4, 0.3, -1.1], np.float32)
K = 2  # units that a subset opens
LOSSES = ("linear", "quadratic", "network")


def losses() -> dict[str, Callable[[Any], Any]]:
    """Losses of masks, over their last axis, with fixed coefficients."""
    normal, n = np.random.default_rng(0).normal, len(SCORES)
    slope, matrix = normal(size=n), normal(size=(n, 3))
    hidden, readout = normal(size=(n, 8)), normal(size=8)
    return dict(
        linear=lambda masks: masks @ slope,
        quadratic=lambda masks: jnp.square(masks @ matrix).sum(-1),
        network=lambda masks: jnp.tanh(2 * (masks @ hidden) - 1) @ readout,
    )


def outcomes(distribution: str, scores: Any) -> tuple[Any, Any]:
    """All masks of a distribution, in rows that may repeat, and their probabilities."""
    n = len(scores)
    masks = np.array(list(itertools.product((0.0, 1.0), repeat=n)))
    if distribution in ("bernoulli", "probit"):
        link = dict(bernoulli=jax.nn.sigmoid, probit=jax.scipy.stats.norm.cdf)
        opened = link[distribution](scores)[None]
        return masks, jnp.where(masks == 1, opened, 1 - opened).prod(-1)
    if distribution == "plackett_luce":  # one unit after the other, without those taken
        orders = np.array(list(itertools.permutations(range(n), K)))
        taken = jax.nn.softmax(scores)[orders]
        left = 1 - (jnp.cumsum(taken, -1) - taken)
        return np.eye(n)[orders].sum(1), (taken / left).prod(-1)
    if distribution == "systematic":  # orders of the units, intervals of the uniform
        orders = np.array(list(itertools.permutations(range(n))))
        steps = ops.soft_topk_mask(scores, K)[orders]
        ends = steps.cumsum(-1)
        cuts = jnp.sort(jnp.pad(ends % 1, ((0, 0), (1, 1)), constant_values=(0, 1)))
        middle = (cuts[:, 1:, None] + cuts[:, :-1, None]) / 2
        passed = lambda sums: jnp.floor(sums[:, None] - middle)
        opened = passed(ends) - passed(ends - steps)
        masks = jnp.take_along_axis(opened, orders.argsort(-1)[:, None], -1)
        return masks.reshape(-1, n), jnp.diff(cuts).reshape(-1) / len(orders)
    masks = masks[masks.sum(-1) == (1 if distribution == "categorical" else K)]
    return masks, jax.nn.softmax(masks @ scores)


@functools.cache
def true_gradients(distribution: str) -> np.ndarray:
    """Gradients of the expected losses at `SCORES`, a row per loss, in float64."""

    def expected(scores):
        masks, probabilities = outcomes(distribution, scores)
        return [probabilities @ loss(masks) for loss in losses().values()]

    with jax.enable_x64(True):
        return np.array(jax.jit(jax.jacobian(expected))(SCORES.astype(float)))
