"""Cluttered digits: what is in the images, and what must not be."""

import time

import numpy as np
import pytest
from sklearn.datasets import load_digits

from configs import cluttered_digits
from dynsparse import data
from dynsparse.data.cluttered_digits import source_splits

SPLITS = ("train", "validation", "test")
SMALL = dict(num_train=300, num_validation=200, num_test=250)


def config(**changes):
    return {**cluttered_digits.get_config().data.to_dict(), **SMALL, **changes}


@pytest.fixture(scope="module")
def dataset():
    return data.from_config(config())


def test_source_digits_of_the_splits_are_disjoint_and_stratified():
    labels = load_digits().target
    splits = source_splits(labels)
    together = np.concatenate(splits)
    np.testing.assert_array_equal(np.sort(together), np.arange(1797))
    for split in splits:
        share = np.bincount(labels[split], minlength=10) / len(split)
        np.testing.assert_allclose(share, np.bincount(labels) / 1797, atol=0.005)


@pytest.mark.parametrize("name", SPLITS)
def test_shapes_types_and_sizes(dataset, name):
    split, number = getattr(dataset, name), SMALL[f"num_{name}"]
    images, labels = split.arrays["image"], split.arrays["label"]
    assert images.shape == (number, 28, 28, 1)
    assert images.dtype == np.uint8
    assert len(split) == len(labels) == number
    assert set(labels) == set(range(10))
    assert dataset.example["image"].shape == (28, 28, 1)


@pytest.mark.parametrize("name", SPLITS)
def test_what_is_relevant_is_one_square_of_the_size_of_the_digit(dataset, name):
    for mask in getattr(dataset, name).arrays["relevant"]:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert len(rows) == len(columns) == 16
        assert mask.sum() == 16 * 16


def test_without_clutter_all_ink_is_relevant():
    clean = data.from_config(config(max_fragments=0)).test.arrays
    assert not clean["image"][..., 0][~clean["relevant"]].any()
    assert (clean["image"].max((1, 2, 3)) > 100).all()


def test_images_show_the_digits_of_their_own_split_alone():
    clean = data.from_config(config(max_fragments=0, min_contrast=1.0))
    source = load_digits()
    splits = dict(zip(SPLITS, source_splits(source.target), strict=True))
    for name in SPLITS:
        split = getattr(clean, name).arrays
        crops = split["image"][split["relevant"]].reshape(-1, 16, 16) / 255.0
        small = crops.reshape(-1, 8, 2, 8, 2).mean((2, 4)).reshape(-1, 64)
        shrink = lambda x: np.apply_along_axis(
            lambda v: np.convolve(np.pad(v, 1, "edge"), [0.125, 0.75, 0.125], "valid"),
            -1,
            x,
        )
        known = source.images / 16  # doubling and averaging blurs like this
        known = shrink(shrink(known).swapaxes(1, 2)).swapaxes(1, 2).reshape(-1, 64)
        nearest = ((small[:, None] - known) ** 2).sum(-1).argmin(-1)
        assert set(nearest) <= set(splits[name])
        np.testing.assert_array_equal(source.target[nearest], split["label"])


def test_clutter_adds_ink_outside_and_difficulty_orders_it(dataset):
    test = dataset.test.arrays
    factors = test["clutter"], test["faintness"]
    for values in (test["difficulty"], *factors):
        assert ((values >= 0) & (values <= 1)).all()
    np.testing.assert_allclose(test["difficulty"], np.mean(factors, 0), rtol=1e-6)
    ink, relevant = test["image"][..., 0], test["relevant"]
    outside = np.where(relevant, 0, ink).sum((1, 2))
    hard = test["difficulty"] > np.median(test["difficulty"])
    assert outside[hard].mean() > 1.2 * outside[~hard].mean()
    inside = np.where(relevant, ink, 0).max((1, 2))
    assert inside[hard].mean() < inside[~hard].mean()


def test_images_are_a_function_of_the_seed(dataset):
    again, other = data.from_config(config()), data.from_config(config(seed=1))
    for name in SPLITS:
        images = getattr(dataset, name).arrays["image"]
        np.testing.assert_array_equal(getattr(again, name).arrays["image"], images)
        assert (getattr(other, name).arrays["image"] != images).any()


def test_the_shipped_size_takes_less_than_five_seconds():
    full = cluttered_digits.get_config().data.to_dict()
    seconds = []
    for _ in range(2):  # the better of two, on a machine that is shared
        start = time.process_time()
        assert len(data.from_config(full).test) == 10_000
        seconds.append(time.process_time() - start)
    assert min(seconds) < 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(num_test=0), "num_test must be at least 1, got 0"),
        (dict(digit_size=12), "digit_size must be a multiple of 8 .* got 12"),
        (dict(digit_size=32), r"in \[8, canvas=28\], got 32"),
        (dict(fragment_size=17), r"fragment_size must be in \[1, digit_size=16\]"),
        (dict(min_contrast=0.0), r"min_contrast in \(0, 1\], got 4 and 0.0"),
        (dict(canvass=28), "has no key 'canvass'; accepted"),
    ],
)
def test_what_is_not_accepted_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        data.from_config(config(**changes))
