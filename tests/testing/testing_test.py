"""The public contracts: the library keeps them, and what breaks them is told."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse import gates, testing
from dynsparse.data import Dataset, Split
from dynsparse.gates import GateOutput
from dynsparse.models.conv_vit import ConvVit
from tests.gates.rows import GATES, build, by_name

TINY = dict(granularity="neurons", width=8, depth=1, num_heads=2, mlp_width=8)


@pytest.mark.parametrize("row", GATES, ids=by_name)
def test_every_gate_of_the_library_keeps_the_contract(row, as_users_call):
    testing.check_gate(build(row), learns=bool(row.learns))


class Own(gates.Gate):
    """Opens what is above 0, by a sigmoid."""

    count = "varying"

    def __call__(self, scores):
        soft = jax.nn.sigmoid(scores)
        mask = rounded(soft)
        return GateOutput(mask, soft)


def rounded(soft):
    hard = (soft > 0.5).astype(soft.dtype)
    return (hard - jax.lax.stop_gradient(soft)) + soft


class TooLarge(Own):
    def __call__(self, scores):
        return GateOutput(*(2 * part for part in super().__call__(scores)))


class Widens(Own):
    def __call__(self, scores):
        return GateOutput(*(p.astype(jnp.float32) for p in super().__call__(scores)))


class Shorter(Own):
    def __call__(self, scores):
        return GateOutput(*(part[..., 1:] for part in super().__call__(scores)))


class Noisy(Own):
    noisy = True

    def __call__(self, scores):
        noise = jax.random.normal(self.noise(), scores.shape, scores.dtype)
        return super().__call__(scores + noise)


class NotFixed(Own):
    count = "fixed"


class Miscounted(Own):
    count = "fixed"

    def static_count(self, n):
        return 3

    def __call__(self, scores):
        ranks = jnp.argsort(jnp.argsort(-scores, axis=-1), axis=-1)
        soft = jax.nn.sigmoid(scores)
        hard = (ranks < 2).astype(scores.dtype)
        return GateOutput((hard - jax.lax.stop_gradient(soft)) + soft, soft)


class Uncounted(Own):
    count = None


class Silent(Own):
    def __call__(self, scores):
        return jax.lax.stop_gradient(super().__call__(scores))


class Infinite(Own):
    def __call__(self, scores):
        return super().__call__(scores - scores.mean(-1, keepdims=True))


class Bare(Own):
    def __call__(self, scores):
        return tuple(super().__call__(scores))


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (TooLarge, "mask must lie in [0, 1], got values from 0.0 to 2.0"),
        (Widens, "shape and dtype of the scores, ((64, 16), 'bfloat16'), got"),
        (Shorter, "got ((64, 15), 'float32')"),
        (Noisy, "evaluation must give the same decision"),
        (NotFixed, "count is 'fixed', but from"),
        (Miscounted, "static_count says that 3 units of 16 are open, got [2]"),
        (Uncounted, "count must be one of"),
        (Silent, "neither mask nor open_prob leaves its scores a gradient"),
        (Infinite, "an infinite score: mask must lie in [0, 1], got values from nan"),
        (Bare, "a call must return a GateOutput"),
    ],
)
def test_what_is_wrong_with_a_gate_is_told(kind, told, as_users_call):
    testing.check_gate(Own(rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match=kind.__name__) as caught:
        testing.check_gate(kind(rngs=nnx.Rngs(0, gate=1)))
    assert told in str(caught.value)


def test_a_control_says_that_it_learns_nothing(as_users_call):
    testing.check_gate(Silent(rngs=nnx.Rngs(0)), learns=False)


def test_what_is_no_gate_is_told(as_users_call):
    with pytest.raises(ValueError, match="Linear must be a dynsparse.gates.Gate"):
        testing.check_gate(nnx.Linear(2, 2, rngs=nnx.Rngs(0)))


class BatchMean(ConvVit):
    """A model whose logits depend on the other images."""

    def __call__(self, images):
        return super().__call__(images - images.mean(0, keepdims=True))


def plain(*, image_shape, num_classes, rngs):
    """A model without rules."""
    return nnx.Linear(image_shape[-1], num_classes, rngs=rngs)


OWN = "tests.testing.testing_test:"


@pytest.mark.parametrize(
    ("name", "keys", "told"),
    [
        ("conv_vit", TINY, None),
        (f"{OWN}BatchMean", TINY, "must not depend on the others of its batch"),
        (f"{OWN}plain", {}, "needs either granularity or rules"),
        (f"{OWN}plain", dict(granularity="heads"), "has no method rules"),
        (f"{OWN}plain", dict(rules={}), "must have a section a pattern"),
        (f"{OWN}plain", dict(rules={"": 3}), "must be a section of keys, got 3"),
        (f"{OWN}plain", dict(rules={"": {"gate": {}}}), "'' has a gate, but that of"),
        (f"{OWN}rounded", dict(granularity="heads"), "takes no rngs, image_shape"),
    ],
)
def test_what_is_wrong_with_a_model_is_told(name, keys, told, as_users_call):
    if told is None:
        testing.check_model(name, **keys)
        return
    with pytest.raises(ValueError, match=told):
        testing.check_model(name, **keys)


class Stripes(Dataset):
    num_classes = 2

    def __init__(self, **changes):
        images = np.zeros((8, 6, 6, 1), np.uint8)
        split = Split(images, np.arange(8) % 2)
        self.train = self.validation = split
        self.test = dataclasses.replace(split, **changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (dict(images=np.zeros((8, 6, 5, 1), np.uint8)), "test.images must be uint8"),
        (dict(images=np.zeros((8, 6, 6, 1), np.float32)), "got float32"),
        (dict(labels=np.arange(8)), "labels must be in [0, 2), got 0 to 7"),
        (dict(labels=np.arange(0)), "test is empty"),
    ],
)
def test_what_is_wrong_with_a_dataset_is_told(changes, told, as_users_call):
    testing.check_dataset(Stripes())
    with pytest.raises(ValueError, match="Stripes: ") as caught:
        testing.check_dataset(Stripes(**changes))
    assert told in str(caught.value)
