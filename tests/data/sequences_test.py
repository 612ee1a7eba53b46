"""Drawn sequences: labels follow from what is relevant, and from nothing else."""

import importlib

import numpy as np
import pytest

from dynsparse import data

SIZES = dict(num_train=300, num_validation=20, num_test=40, seed=0)
NAMES = ("associative_recall", "needle", "selective_copy", "parity")


def shipped(name, **changes):
    config = importlib.import_module(f"configs.{name}").get_config().data.to_dict()
    return data.from_config(config | SIZES | changes)


def recalled(tokens):
    """Values of keys, by a dictionary: a value follows the first place of its key."""
    known, answers = {}, {}
    for place, token in enumerate(tokens):
        if token in known and place >= 128:
            answers[place] = known[token]
        elif token < 32 and place < 128:
            known[token] = tokens[place + 1]
    return answers


def found(tokens):
    (first, last) = np.flatnonzero(tokens == 0)
    return {last: tokens[first + 1]}


def copied(tokens):
    some = tokens[(tokens > 0) & (tokens < 64)]
    return dict(zip(np.flatnonzero(tokens == 0), some, strict=True))


def odd(tokens):
    return {len(tokens) - 1: tokens.sum() % 2}


ANSWERS = dict(zip(NAMES, (recalled, found, copied, odd), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_labels_follow_from_the_tokens(name):
    arrays = shipped(name).train.arrays
    for tokens, target in zip(arrays["token"], arrays["target"], strict=True):
        told = {place: target[place] for place in np.flatnonzero(target >= 0)}
        assert ANSWERS[name](tokens) == told


@pytest.mark.parametrize(
    ("name", "number"), [("associative_recall", 24), ("needle", 3)]
)
def test_what_is_relevant_is_few_and_not_filler(name, number):
    arrays = shipped(name).train.arrays
    assert (arrays["relevant"].sum(1) == number).all()
    assert number <= 256 / 10
    np.testing.assert_array_equal(arrays["relevant"], arrays["token"] < 64)
    assert arrays["relevant"][arrays["target"] >= 0].all()


def test_what_is_copied_is_relevant():
    arrays = shipped("selective_copy").train.arrays
    np.testing.assert_array_equal(arrays["relevant"], arrays["token"] < 64)


@pytest.mark.parametrize("name", NAMES)
def test_splits_and_seeds_draw_other_sequences(name):
    one, again, other = (shipped(name, seed=seed) for seed in (0, 0, 1))
    tokens = lambda source: source.arrays["token"]
    np.testing.assert_array_equal(tokens(one.train), tokens(again.train))
    assert (tokens(one.train) != tokens(other.train)).any()
    assert (tokens(one.train)[:20] != tokens(one.validation)).any()


def test_noise_features_say_nothing_of_the_target():
    arrays = shipped("friedman", num_train=4_000).train.arrays
    features, target = arrays["features"], arrays["target"]
    bins = (features * 8).astype(int)
    between = [
        np.var([target[bins[:, d] == b].mean() for b in range(8)]) for d in range(10)
    ]
    assert min(between[:5]) > 4 * max(between[5:])
    np.testing.assert_array_equal(arrays["relevant"][0], [True] * 5 + [False] * 5)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("associative_recall", dict(num_pairs=65), r"num_pairs must be in \[1, 32\]"),
        ("associative_recall", dict(num_train=0), "num_train must be at least 1"),
        ("needle", dict(length=3), "length must be at least 4, got 3"),
        ("selective_copy", dict(num_copied=129), r"num_copied in \[1, 128\]"),
        ("parity", dict(length=0), "length must be at least 1, got 0"),
        ("friedman", dict(num_features=4), "num_features >= 5"),
    ],
)
def test_what_is_not_accepted_is_named(name, changes, message):
    with pytest.raises(ValueError, match=message):
        shipped(name, **changes)
