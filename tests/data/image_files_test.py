"""Labelled images of files: the pixels of IDX, CIFAR and folders, and their parts."""

import gzip

import numpy as np
import pytest
from PIL import Image

from dynsparse import data
from tests.data import written

whole = lambda source: data.read_batch(source, np.arange(len(source)))


def joined(splits):
    """Images and labels of training and validation."""
    parts = [whole(splits.train), whole(splits.validation)]
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def as_pairs(images, labels):
    return sorted(
        (image.tobytes(), int(y)) for image, y in zip(images, labels, strict=True)
    )


def test_idx_files_give_their_pixels_each_with_its_label(tmp_path):
    splits = data.from_config(written.written("idx_images", tmp_path))
    found = joined(splits)
    expected = as_pairs(written.images(24, 6, 5), written.LABELS)
    assert as_pairs(found["image"], found["label"]) == expected
    np.testing.assert_array_equal(
        whole(splits.test)["image"][..., 0], written.images(6, 6, 5, seed=1)
    )


def test_compressed_idx_files_are_those_that_are_not(tmp_path):
    config = written.written("idx_images", tmp_path)
    before = joined(data.from_config(config))
    plain = tmp_path / "train-images-idx3-ubyte"
    (tmp_path / f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    np.testing.assert_array_equal(
        joined(data.from_config(config))["image"], before["image"]
    )


def test_names_of_idx_classes_are_read_where_there_are_any(tmp_path):
    config = written.written("idx_images", tmp_path)
    assert "class_names" not in data.from_config(config).facts
    (tmp_path / "class_names.txt").write_text("a\nb\nc\nd\n")
    facts = data.from_config(config).facts
    assert (facts["num_classes"], facts["class_names"]) == (4, list("abcd"))


def test_cifar_images_have_channels_last(tmp_path):
    splits = data.from_config(written.written("cifar", tmp_path))
    batch = np.fromfile(tmp_path / "test_batch.bin", np.uint8).reshape(6, 3073)
    row, column, channel = np.mgrid[:32, :32, :3]
    expected = batch[:, 1 + 1024 * channel + 32 * row + column]
    np.testing.assert_array_equal(whole(splits.test)["image"], expected)
    np.testing.assert_array_equal(whole(splits.test)["label"], batch[:, 0])


@pytest.mark.parametrize(("coarse", "place"), [(True, 0), (False, 1)])
def test_cifar_100_has_two_kinds_of_labels(tmp_path, coarse, place):
    config = written.written("cifar_100", tmp_path) | dict(coarse=coarse)
    splits = data.from_config(config)
    rows = np.fromfile(tmp_path / "test.bin", np.uint8).reshape(6, 3074)
    np.testing.assert_array_equal(whole(splits.test)["label"], rows[:, place])
    assert ("class_names" in splits.facts) == coarse  # the other file is absent


@pytest.mark.parametrize("row", ["idx_images", "cifar", "image_folder"])
def test_validation_is_cut_from_train_by_label_and_seed(tmp_path, row):
    config = written.written(row, tmp_path)
    splits = data.from_config(config)
    counts = [np.bincount(whole(p)["label"]) for p in (splits.train, splits.validation)]
    np.testing.assert_array_equal(counts[0], 3 * counts[1])
    other = data.from_config(config | dict(seed=1))
    pairs = [as_pairs(*joined(s).values()) for s in (splits, other)]
    assert pairs[0] == pairs[1]
    images = [whole(s.validation)["image"] for s in (splits, other)]
    assert {*map(bytes, images[0])} != {*map(bytes, images[1])}


@pytest.mark.parametrize(
    ("parts", "sizes"),
    [
        (("train", "val"), (6, 2, 8)),
        (("train", "test"), (6, 2, 8)),
        (("train", "val", "test"), (8, 8, 8)),
    ],
)
def test_parts_of_an_image_folder(tmp_path, parts, sizes):
    splits = data.from_config(
        dict(name="image_folder") | written.image_folder(tmp_path, parts)
    )
    found = tuple(map(len, (splits.train, splits.validation, splits.test)))
    assert found == sizes


@pytest.mark.parametrize("size", [(20, 8), (8, 20)])
def test_the_square_in_the_middle_is_what_is_seen(tmp_path, size):
    """White in the middle, black beside it, grey in the file."""
    config = written.written("image_folder", tmp_path)
    pixels = np.zeros(size[::-1], np.uint8)
    cut = [slice((n - 8) // 2, (n + 8) // 2) for n in pixels.shape]
    pixels[tuple(cut)] = 255
    for part in ("ape", "bee"):
        for file in (tmp_path / "val" / part).iterdir():
            Image.fromarray(pixels).save(file)
    read = lambda side: data.from_config(config | dict(side=side)).test[0]["image"]
    np.testing.assert_array_equal(read(8), np.full((8, 8, 3), 255))
    smaller = read(4)  # its border sees beyond the square, as the filter does
    assert smaller.shape == (4, 4, 3)
    assert (smaller[1:-1, 1:-1] == 255).all()
    assert (smaller > 200).all()


def test_images_are_read_when_they_are_asked_for(tmp_path):
    config = written.written("image_folder", tmp_path)
    broken = tmp_path / "val" / "ape" / "1.png"
    broken.write_bytes(broken.read_bytes()[:40])
    test = data.from_config(config).test
    assert test[0]["image"].shape == (6, 6, 3)
    with pytest.raises(ValueError, match=r"val/ape/1\.png: not a readable image"):
        test[1]
