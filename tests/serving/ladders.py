"""A small ladder, compiled once, and one that only pretends."""

import functools

import jax
import numpy as np
from flax import nnx

import dynsparse
from dynsparse import models
from dynsparse.serving.ladder import Ladder, Rung

BUDGETS = (0.4, 0.7, 1.0)
SIZES = (2, 4)
SHAPE = (8, 8, 1)


@functools.cache
def model(gate="soft_topk"):
    spec = dict(
        soft_topk=dict(
            name="soft_topk", density=1.0, temperature=1.0, family="logistic"
        ),
        gumbel_sigmoid=dict(name="gumbel_sigmoid", temperature=1.0),
    )[gate]
    config = dict(name="vit", granularity="tokens", patch=2, width=16, depth=3)
    config |= dict(num_heads=2, mlp_width=32)
    return models.from_config(
        config,
        gate=spec,
        scorer=dict(name="mlp", hidden=4),
        image_shape=SHAPE,
        num_classes=3,
        rngs=nnx.Rngs(0, gate=1),
    )


def images(number, seed=0):
    return np.asarray(jax.random.uniform(jax.random.key(seed), (number, *SHAPE)))


@functools.cache
def compiled():
    return Ladder.compile(
        model(), examples=images(8), budgets=BUDGETS, batch_sizes=SIZES, repeats=3
    )


class Pretended(Ladder):
    """Rungs that take the seconds they are said to take, times `slowdown`."""

    def __init__(self, seconds, sleep=None, score=None):
        super().__init__(
            rungs=[
                Rung(
                    budget=(index + 1) / len(seconds),
                    seconds={1: value},
                    peak_bytes={1: 1_000_000 * (index + 1)},
                    score=score[index] if score else None,
                )
                for index, value in enumerate(seconds)
            ],
        )
        self.slowdown = 1.0
        self._sleep = sleep or (lambda seconds: None)

    def __call__(self, rung, x):
        self._sleep(self.slowdown * self.rungs[rung].seconds[1])
        (x,) = dynsparse.call(x).args
        return np.eye(10)[np.asarray(x).astype(int)]  # right, if asked for a label
