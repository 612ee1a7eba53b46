"""Losses and scores of tasks, against closed forms in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsparse.data import Arrays, Splits
from dynsparse.tasks import next_token, regression, token_labels

RNG = np.random.default_rng(0)


def splits(arrays, **facts):
    source = Arrays(arrays)
    return Splits(train=source, validation=source, test=source, facts=facts)


def logs(outputs):
    outputs = np.asarray(outputs, np.float64)
    return outputs - np.log(np.exp(outputs).sum(-1, keepdims=True))


TOKENS = RNG.integers(0, 7, (5, 9)).astype(np.int32)
LOGITS = jnp.asarray(RNG.normal(size=(5, 8, 7)), jnp.float32)


@pytest.mark.parametrize("padded", [False, True])
def test_the_next_token(padded):
    batch = dict(token=TOKENS)
    valid = np.ones((5, 9), bool)
    if padded:
        valid = np.arange(9) < np.array([9, 5, 3, 2, 1])[:, None]
        batch["valid"] = valid
    task = next_token.make(splits(batch, vocabulary=7, characters="abcdefg"))
    np.testing.assert_array_equal(task.inputs(batch), TOKENS[:, :-1])
    apart = -np.take_along_axis(logs(LOGITS), TOKENS[:, 1:, None], -1)[..., 0]
    told = valid[:, 1:]
    expected = (apart * told).sum(1) / np.maximum(told.sum(1), 1)
    np.testing.assert_allclose(task.losses(LOGITS, batch), expected, rtol=1e-5)
    scores = {k: float(v.value) for k, v in task.scores(LOGITS, batch).items()}
    np.testing.assert_allclose(scores["cross_entropy"], apart[told].mean(), rtol=1e-5)
    np.testing.assert_allclose(scores["bits"], apart[told].mean() / np.log(2), 1e-5)
    right = (LOGITS.argmax(-1) == TOKENS[:, 1:])[told]
    np.testing.assert_allclose(scores["accuracy"], right.mean(), rtol=1e-6)
    assert (task.unit, task.higher_is_better) == ("nats/character", False)


def test_labels_of_some_tokens():
    target = np.full((5, 8), -1, np.int32)
    target[0, 2], target[0, 5], target[1, 0] = 3, 1, int(LOGITS[1, 0].argmax())
    batch = dict(token=TOKENS[:, :8], target=target)
    task = token_labels.make(splits(batch, vocabulary=7))
    apart = -logs(LOGITS)
    expected = [(apart[0, 2, 3] + apart[0, 5, 1]) / 2, apart[1, 0, target[1, 0]], 0, 0]
    np.testing.assert_allclose(task.losses(LOGITS, batch)[:4], expected, rtol=1e-5)
    right = [int(LOGITS[0, 2].argmax()) == 3, int(LOGITS[0, 5].argmax()) == 1, True]
    scores = {k: float(v.value) for k, v in task.scores(LOGITS, batch).items()}
    np.testing.assert_allclose(scores["accuracy"], np.mean(right), rtol=1e-6)
    exact = [all(right[:2]), True, True, True, True]
    np.testing.assert_allclose(scores["exact"], np.mean(exact), rtol=1e-6)


def test_a_number_from_features(monkeypatch):
    x = RNG.normal([3.0, -1.0], [2.0, 0.1], (50, 2)).astype(np.float32)
    y = (5 + 3 * x[:, 0]).astype(np.float32)
    monkeypatch.setattr(regression, "_AT_ONCE", 7)  # read in parts
    task = regression.make(splits(dict(features=x, target=y)))
    batch = task.train.read_batch(range(50))
    seen = np.asarray(task.inputs(batch), np.float64)
    np.testing.assert_allclose([seen.mean(0), seen.std(0)], [[0] * 2, [1] * 2], 0, 1e-4)
    outputs = jnp.asarray(RNG.normal(size=(50, 1)), jnp.float32)
    apart = np.asarray(outputs)[:, 0] - (y - y.mean()) / y.std()
    losses = task.losses(outputs, batch)
    np.testing.assert_allclose(losses, apart**2 / 2, rtol=1e-3, atol=1e-5)
    means = {k: float(v.value) for k, v in task.scores(outputs, batch).items()}
    found, error = task.finish(means), apart * y.std()
    np.testing.assert_allclose(found["rmse"], np.sqrt((error**2).mean()), rtol=1e-4)
    np.testing.assert_allclose(found["mae"], np.abs(error).mean(), rtol=1e-4)
    known = regression.make(splits(dict(features=x[:2], target=y[:2]), **task.facts))
    assert known.inputs == task.inputs
    assert known == task  # and so shares its programs


def test_a_number_from_an_image():
    images = RNG.integers(0, 256, (6, 4, 4, 1), np.uint8)
    task = regression.make(splits(dict(image=images, target=np.arange(6.0))))
    assert task.model == dict(image_shape=(4, 4, 1), num_classes=1)
    batch = task.train.read_batch([1, 2])
    np.testing.assert_allclose(task.inputs(batch), images[1:3] / 255, rtol=1e-6)


def test_the_distance_of_numbers_is_that_of_their_losses():
    task = regression.make(splits(dict(features=TOKENS * 1.0, target=TOKENS[:, 0])))
    one, two = (jnp.asarray(RNG.normal(size=(5, 1))) for _ in range(2))
    slope = jax.grad(lambda x: task.distance(one, x, 2.0).sum())(two)
    np.testing.assert_allclose(slope, two - one, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "arrays", "facts", "message"),
    [
        (next_token.make, dict(token=TOKENS), {}, "next_token needs examples with"),
        (next_token.make, dict(x=TOKENS), dict(vocabulary=7), "token, and the fact"),
        (next_token.make, dict(token=TOKENS[:, :1]), dict(vocabulary=7), "at least 2"),
        (token_labels.make, dict(token=TOKENS), dict(vocabulary=7), "token and target"),
        (regression.make, dict(target=TOKENS[:, 0]), {}, "features or image"),
        (regression.make, dict(features=TOKENS), {}, "needs examples with target"),
    ],
)
def test_data_that_lack_what_a_task_needs_are_named(make, arrays, facts, message):
    with pytest.raises(ValueError, match=message):
        make(splits(arrays, **facts))
