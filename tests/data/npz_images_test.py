"""Pictures of one's own: what is read, and how mistakes are named."""

import re

import numpy as np
import pytest

from dynsparse import data


def arrays(**changes):
    rng = np.random.default_rng(0)
    pictures = lambda n: rng.integers(0, 256, (n, 6, 5), np.uint8)
    content = dict(
        x_train=pictures(60),
        y_train=np.arange(60) % 3,
        x_test=pictures(9),
        y_test=np.arange(9) % 3,
    )
    content.update(changes)
    return {name: array for name, array in content.items() if array is not None}


def load(tmp_path, content, fraction=0.2, seed=0):
    path = tmp_path / "pictures.npz"
    np.savez(path, **content)
    return data.from_config(
        dict(name="npz_images", path=str(path), validation_fraction=fraction, seed=seed)
    )


def test_grey_pictures_get_a_channel_and_validation_is_cut_from_train(tmp_path):
    content = arrays()
    dataset = load(tmp_path, content)
    assert dataset.image_shape == (6, 5, 1)
    assert dataset.num_classes == 3
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (
        48,
        12,
        9,
    )
    cut = np.concatenate([dataset.train.images, dataset.validation.images])[..., 0]
    as_set = lambda pictures: {picture.tobytes() for picture in pictures}
    assert as_set(cut) == as_set(content["x_train"])
    np.testing.assert_array_equal(np.bincount(dataset.validation.labels), [4, 4, 4])


def test_a_validation_split_of_the_file_is_used(tmp_path):
    x_val = np.full((3, 6, 5), 7, np.uint8)
    dataset = load(tmp_path, arrays(x_val=x_val, y_val=np.array([0, 1, 2])))
    np.testing.assert_array_equal(dataset.validation.images[..., 0], x_val)
    assert len(dataset.train) == 60


def test_colour_pictures_keep_their_channels(tmp_path):
    colour = lambda n: np.zeros((n, 6, 5, 3), np.uint8)
    dataset = load(tmp_path, arrays(x_train=colour(60), x_test=colour(9)))
    assert dataset.image_shape == (6, 5, 3)


MISTAKES = [
    (dict(x_test=None, y_test=None), "missing arrays ['x_test', 'y_test']"),
    (dict(x_val=np.zeros((3, 6, 5), np.uint8)), "missing arrays ['y_val']"),
    (dict(x_train=np.zeros((60, 6), np.uint8)), "x_train must be uint8 [n, h, w]"),
    (dict(x_test=np.zeros((9, 6, 5))), "x_test must be uint8 [n, h, w] or"),
    (dict(x_test=np.zeros((9, 7, 5), np.uint8)), "pictures of x_test are (7, 5, 1)"),
    (
        dict(x_test=np.zeros((0, 6, 5), np.uint8), y_test=np.zeros(0, int)),
        "x_test is empty, [0, 6, 5]",
    ),
    (
        dict(x_train=np.zeros((0, 6, 5), np.uint8), y_train=np.zeros(0, int)),
        "y_train is empty",
    ),
    (dict(y_test=np.arange(9)), "y_test must be in [0, 2], the labels of y_train"),
    (dict(y_train=np.arange(60) % 3 - 1), "y_train must be in [0, 1]"),
    (dict(y_train=np.zeros(60)), "y_train must hold integers, got float64"),
    (dict(y_train=np.zeros(59, int)), "y_train must be integers [60]"),
    (dict(y_train=np.r_[5, np.zeros(59, int)]), "cannot cut a validation split"),
]


@pytest.mark.parametrize(
    ("changes", "message"), MISTAKES, ids=lambda case: str(case)[:40]
)
def test_mistakes_in_the_file_are_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load(tmp_path, arrays(**changes))
    assert "pictures.npz" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [("", "path is empty; give --config.data.path"), ("nowhere.npz", "no such file")],
)
def test_a_missing_file_is_named(path, message):
    settings = dict(name="npz_images", path=path, validation_fraction=0.1, seed=0)
    with pytest.raises(ValueError, match=message):
        data.from_config(settings)


def test_a_file_that_is_no_archive_is_named(tmp_path):
    path = tmp_path / "notes.npz"
    path.write_text("not an archive")
    settings = dict(name="npz_images", path=str(path), validation_fraction=0.1, seed=0)
    with pytest.raises(ValueError, match=r"notes.npz: not a readable \.npz file"):
        data.from_config(settings)


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_a_fraction_out_of_range_is_named(tmp_path, fraction):
    with pytest.raises(ValueError, match="validation_fraction must be in"):
        load(tmp_path, arrays(), fraction=fraction)
