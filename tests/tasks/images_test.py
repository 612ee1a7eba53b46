"""Labelled images: what a model sees of them, and how training changes them."""

import jax
import numpy as np
import pytest

from dynsparse.data import Arrays, Splits
from dynsparse.tasks import images
from dynsparse.tasks.images import Pixels


def drawn(shape=(50, 6, 5, 3)):
    rng = np.random.default_rng(0)
    return rng.integers([0, 100, 30], [200, 256, 40], shape).astype(np.uint8)


def splits(pixels=None, **facts):
    pixels = drawn() if pixels is None else pixels
    source = Arrays(dict(image=pixels, label=np.arange(len(pixels)) % 2))
    facts = dict(num_classes=2) | facts
    return Splits(train=source, validation=source, test=source, facts=facts)


def seen(task, pixels):
    return np.asarray(task.inputs(dict(image=pixels)), np.float64)


def test_each_channel_gets_mean_0_and_deviation_1():
    mapped = seen(images.make(splits(), standardise=True), drawn())
    np.testing.assert_allclose(mapped.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(mapped.std((0, 1, 2)), 1, atol=1e-5)


def test_means_are_read_in_parts(monkeypatch):
    whole = images.make(splits(), standardise=True).inputs
    monkeypatch.setattr(images, "_AT_ONCE", 7)
    assert images.make(splits(), standardise=True).inputs == whole


def test_known_means_are_not_read_again():
    task = images.make(splits(mean=[0.5] * 3, std=[0.25] * 3), standardise=True)
    assert task.inputs == Pixels((0.5,) * 3, (0.25,) * 3)
    assert images.make(splits(**task.facts), standardise=True).inputs == task.inputs


def test_a_channel_of_one_value_becomes_zeros():
    pixels = np.full((4, 6, 5, 1), 9, np.uint8)
    task = images.make(splits(pixels), standardise=True)
    np.testing.assert_allclose(seen(task, pixels), 0, atol=1e-6)


def test_by_default_255_is_1_and_compilation_changes_nothing():
    batch = dict(image=drawn())
    expected = batch["image"].astype(np.float32) / 255
    np.testing.assert_allclose(Pixels()(batch), expected, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(Pixels())(batch), Pixels()(batch), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_what_is_not_uint8_is_refused(dtype):
    with pytest.raises(ValueError, match="images must be uint8"):
        Pixels()(dict(image=drawn().astype(dtype)))


@pytest.mark.parametrize("shift", [-1, 5])
def test_a_shift_out_of_range_is_named(shift):
    with pytest.raises(ValueError, match=rf"shift must be in \[0, 5\).*got {shift}"):
        images.make(splits(), shift=shift)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (dict(num_classes=None), "needs examples with image and label"),
        (dict(pixels=np.zeros((4, 6, 5), np.uint8)), "must be uint8 .*got uint8"),
        (dict(pixels=np.zeros((4, 6, 5, 1), np.int32)), "must be uint8 .*got int32"),
    ],
)
def test_what_a_classifier_cannot_take_is_named(changed, message):
    with pytest.raises(ValueError, match=message):
        images.make(splits(**changed))


def test_training_images_are_moved_and_mirrored_and_no_more():
    pixels = drawn((60, 6, 5, 3))[..., :1]
    task = images.make(splits(pixels), shift=1, flip=True)
    around = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)))
    batch = task.train.read_batch(range(60))
    changed = task.augment(batch, jax.random.key(0))
    np.testing.assert_array_equal(changed["label"], batch["label"])
    places = set()
    for image, result in zip(around, np.asarray(changed["image"]), strict=True):
        # Mirrored first, then cut: the surround is black on all sides.
        views = {
            (row, column, side): image[:, ::side][row : row + 6, column : column + 5]
            for row in range(3)
            for column in range(3)
            for side in (1, -1)
        }
        found = [at for at, view in views.items() if (view == result).all()]
        assert len(found) == 1
        places.update(found)
    assert len(places) > 12  # of 18


def test_without_shift_and_flip_training_sees_the_images_as_they_are():
    task = images.make(splits())
    batch = task.train.read_batch(range(4))
    changed = task.augment(batch, jax.random.key(0))
    np.testing.assert_array_equal(changed["image"], batch["image"])
