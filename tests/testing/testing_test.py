"""The public contracts: the library keeps them, and what breaks them is told."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse import gates, testing
from dynsparse.data import Arrays, Splits
from dynsparse.gates import GateOutput
from dynsparse.models.conv_vit import ConvVit
from dynsparse.tasks import Mean, images
from tests.gates.rows import build, sampled_gates

TINY = dict(granularity="neurons", width=8, depth=1, num_heads=2, mlp_width=8)


@sampled_gates
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


def stripes(task=None, **changes):
    arrays = dict(image=np.zeros((8, 6, 6, 1), np.uint8), label=np.arange(8) % 2)
    source = Arrays(arrays)
    test = Arrays(arrays | changes)
    splits = Splits(
        train=source, validation=source, test=test, facts=dict(num_classes=2)
    )
    return dataclasses.replace(images.make(splits), **task or {})


def flat(x):
    return x.reshape(len(x), -1)[:, :2]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (dict(image=np.zeros((8, 6, 5, 1), np.uint8)), "['image'] must be uint8 [6, 6"),
        (dict(image=np.zeros((8, 6, 6, 1), np.float32)), "got float32"),
        (dict(other=np.zeros(8)), "must have ['image', 'label'], got"),
        (dict(image=np.zeros((0, 6, 6, 1), np.uint8), label=np.zeros(0, int)), "empty"),
        (dict(task=dict(inputs=lambda batch: batch["image"][:1] / 255)), "must lead"),
        (dict(task=dict(inputs=lambda batch: batch["image"] / 0)), "must be finite"),
        (dict(task=dict(augment=lambda b, _: dict(b, label=0.0 * b["label"]))), "'lab"),
        (dict(task=dict(losses=lambda x, _: x.sum())), "one an example, (4,), got ()"),
        (dict(task=dict(losses=lambda x, _: x[:, 0] / 0)), "losses must be finite"),
        (dict(task=dict(metric="mse")), "'mse' is none of the scores, ['accuracy']"),
        (dict(task=dict(scores=lambda x, _: dict(accuracy=x.mean()))), "must be dyns"),
        (
            dict(task=dict(scores=lambda x, _: dict(accuracy=Mean(x.sum() + 1, 4.0)))),
            "must add up",
        ),
        (
            dict(
                task=dict(
                    scores=lambda x, b: dict(accuracy=Mean(*2 * [len(x) + 0 * x[0, 0]]))
                )
            ),
            "must not see examples of weight 0",
        ),
    ],
)
def test_what_is_wrong_with_a_task_is_told(changes, told, as_users_call):
    testing.check_task(stripes(), flat)
    with pytest.raises(ValueError, match=r".") as caught:
        testing.check_task(stripes(**changes), flat)
    assert told in str(caught.value)
