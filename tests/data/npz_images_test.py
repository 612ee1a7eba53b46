"""Images of one's own: what is read, and how mistakes are named."""

import re

import numpy as np
import pytest

from dynsparse import data
from dynsparse.data import npz_images

FIXED = dict(seed=0)


def arrays(**changes):
    rng = np.random.default_rng(0)
    images = lambda n: rng.integers(0, 256, (n, 6, 5), np.uint8)
    content = dict(
        x_train=images(60),
        y_train=np.arange(60) % 3,
        x_test=images(9),
        y_test=np.arange(9) % 3,
    )
    content.update(changes)
    return {name: array for name, array in content.items() if array is not None}


def load(tmp_path, content, fraction=0.2, **changes):
    path = tmp_path / "images.npz"
    np.savez(path, **content)
    return data.from_config(
        dict(name="npz_images", path=str(path), validation_fraction=fraction)
        | FIXED
        | changes
    )


def test_grey_images_get_a_channel_and_validation_is_cut_from_train(tmp_path):
    content = arrays()
    dataset = load(tmp_path, content)
    assert dataset.example["image"].shape == (6, 5, 1)
    assert dataset.facts == dict(num_classes=3)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (
        48,
        12,
        9,
    )
    cut = np.concatenate(
        [s.arrays["image"] for s in (dataset.train, dataset.validation)]
    )[..., 0]
    as_set = lambda images: {image.tobytes() for image in images}
    assert as_set(cut) == as_set(content["x_train"])
    np.testing.assert_array_equal(
        np.bincount(dataset.validation.arrays["label"]), [4, 4, 4]
    )


def test_a_validation_split_of_the_file_is_used(tmp_path):
    x_val = np.full((3, 6, 5), 7, np.uint8)
    dataset = load(tmp_path, arrays(x_val=x_val, y_val=np.array([0, 1, 2])))
    np.testing.assert_array_equal(dataset.validation.arrays["image"][..., 0], x_val)
    assert len(dataset.train) == 60


def test_colour_images_keep_their_channels(tmp_path):
    colour = lambda n: np.zeros((n, 6, 5, 3), np.uint8)
    dataset = load(tmp_path, arrays(x_train=colour(60), x_test=colour(9)))
    assert dataset.example["image"].shape == (6, 5, 3)


MISTAKES = [
    (dict(x_test=None, y_test=None), "missing arrays ['x_test', 'y_test']"),
    (dict(x_val=np.zeros((3, 6, 5), np.uint8)), "missing arrays ['y_val']"),
    (dict(x_train=np.zeros((60, 6), np.uint8)), "x_train must be uint8 [n, h, w]"),
    (dict(x_test=np.zeros((9, 6, 5))), "x_test must be uint8 [n, h, w] or"),
    (dict(x_test=np.zeros((9, 7, 5), np.uint8)), "images of x_test are (7, 5, 1)"),
    (
        dict(x_test=np.zeros((0, 6, 5), np.uint8), y_test=np.zeros(0, int)),
        "y_test is empty, [0]",
    ),
    (
        dict(x_train=np.zeros((0, 6, 5), np.uint8), y_train=np.zeros(0, int)),
        "y_train is empty",
    ),
    (dict(y_test=np.arange(9)), "y_test must be in [0, 2], the labels of y_train"),
    (dict(y_train=np.arange(60) % 3 - 1), "y_train must be in [0, 1]"),
    (dict(y_train=np.zeros(60)), "y_train must hold integers, got float64"),
    (dict(y_train=np.zeros(59, int)), "y_train must be integers [60]"),
    (dict(y_train=np.r_[10**9, np.zeros(59, int)]), "in [0, 99999], got 1000000000"),
    (dict(y_train=np.full(60, 2**63 - 1)), "in [0, 99999], got 9223372036854775807"),
    (dict(y_test=np.full(9, 2**31 + 3)), "y_test must be in [0, 2]"),
    (
        dict(y_train=np.zeros(60, "timedelta64[s]")),
        "y_train must hold integers, got timedelta64[s]",
    ),
    (dict(y_test=np.zeros(9, bool)), "y_test must hold integers, got bool"),
    (dict(y_train=np.r_[5, np.zeros(59, int)]), "cannot cut a validation split"),
]


@pytest.mark.parametrize(
    ("changes", "message"), MISTAKES, ids=lambda case: str(case)[:40]
)
def test_mistakes_in_the_file_are_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load(tmp_path, arrays(**changes))
    assert "images.npz" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [("", "path is empty; give --config.data.path"), ("nowhere.npz", "no such file")],
)
def test_a_missing_file_is_named(path, message):
    settings = dict(name="npz_images", path=path, validation_fraction=0.1, **FIXED)
    with pytest.raises(ValueError, match=message):
        data.from_config(settings)


def test_a_file_that_is_no_archive_is_named(tmp_path):
    path = tmp_path / "notes.npz"
    path.write_text("not an archive")
    settings = dict(name="npz_images", path=str(path), validation_fraction=0.1, **FIXED)
    with pytest.raises(ValueError, match=r"notes.npz: not a readable \.npz file"):
        data.from_config(settings)


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_a_fraction_out_of_range_is_named(tmp_path, fraction):
    with pytest.raises(ValueError, match="validation_fraction must be in"):
        load(tmp_path, arrays(), fraction=fraction)


def test_arrays_that_are_not_used_are_not_read(tmp_path):
    """Objects are never unpickled: to read one is an error."""
    unread = np.array([dict(), None], object)
    assert len(load(tmp_path, arrays(x_extra=unread)).test) == 9


def test_what_exceeds_the_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(npz_images, "_free_bytes", lambda: 1000)
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("was read"))
    message = r"of memory, 0\.0 GB are free; x_train is \[60, 6, 5\]"
    with pytest.raises(ValueError, match=message):
        load(tmp_path, arrays())
