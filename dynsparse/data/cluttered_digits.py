"""Cluttered digits: handwritten digits among fragments of other digits."""

import functools
from typing import Any

import numpy as np
from scipy.ndimage import zoom
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from dynsparse.data.base.sources import Arrays
from dynsparse.data.base.splits import Splits

_TEST_SOURCES, _VALIDATION_SOURCES = 360, 240  # of 1,797


def make(
    *,
    num_train: int,
    num_validation: int,
    num_test: int,
    canvas: int,
    digit_size: int,
    max_fragments: int,
    fragment_size: int,
    min_contrast: float,
    seed: int,
) -> Splits:
    """Draws images of one handwritten digit at a random place, among clutter.

    The sources are scikit-learn's 1,797 digits of 8x8 pixels. They are split by class
    in the same way for every `seed`, so that no digit or fragment of a test image comes
    from a digit of a training image. The seed draws places, contrasts and clutter.

    Beside `image` and `label` an example has `relevant`, the pixels of the square of
    the digit, and `difficulty`, the mean of two factors: `clutter`, the share of the
    possible fragments, and `faintness`, the lack of contrast.

    Args:
        num_train: Number of training images.
        num_validation: Number of validation images.
        num_test: Number of test images.
        canvas: Height and width of an image, in pixels.
        digit_size: Height and width of the enlarged digit; a multiple of 8.
        max_fragments: Maximum number of fragments per image, >= 0.
        fragment_size: Height and width of a fragment, in pixels.
        min_contrast: Minimum contrast of the digit and of fragments, in (0, 1].
        seed: Seed of the images; each split draws from a stream of its own.

    Raises:
        ValueError: If a size does not fit or a value is out of range.
    """
    numbers = dict(num_train=num_train, num_validation=num_validation)
    numbers["num_test"] = num_test
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"data: {name} must be at least 1, got {number}.")
    if digit_size % 8 or not 8 <= digit_size <= canvas:
        raise ValueError(
            f"data: digit_size must be a multiple of 8 in [8, canvas={canvas}], "
            f"got {digit_size}."
        )
    if not 1 <= fragment_size <= digit_size:
        raise ValueError(
            f"data: fragment_size must be in [1, digit_size={digit_size}], "
            f"got {fragment_size}."
        )
    if max_fragments < 0 or not 0 < min_contrast <= 1:
        raise ValueError(
            "data: needs max_fragments >= 0 and min_contrast in (0, 1], got "
            f"{max_fragments} and {min_contrast}."
        )
    enlarged, labels = _sources(digit_size)
    settings: dict[str, Any] = dict(
        canvas=canvas,
        max_fragments=max_fragments,
        fragment_size=fragment_size,
        min_contrast=min_contrast,
    )
    train, validation, test = (
        _draw(
            np.random.default_rng((seed, stream)),
            number,
            enlarged[chosen],
            labels[chosen],
            **settings,
        )
        for stream, (number, chosen) in enumerate(
            zip(numbers.values(), source_splits(labels), strict=True)
        )
    )
    facts = dict(num_classes=10, class_names=list("0123456789"))
    return Splits(train=train, validation=validation, test=test, facts=facts)


@functools.cache
def _sources(digit_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the source digits, enlarged, and their labels, read-only."""
    source: Any = load_digits()
    digits = source.images.astype(np.float32) / 16
    factor = digit_size // 8
    enlarged: Any = zoom(
        digits, (1, factor, factor), order=1, mode="nearest", grid_mode=True
    )
    labels: np.ndarray = source.target
    for array in (enlarged, labels):
        array.flags.writeable = False
    return enlarged, labels


def source_splits(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns indices of the source digits of train, validation and test."""
    split: Any = lambda indices, size: train_test_split(
        indices, test_size=size, stratify=labels[indices], random_state=0
    )
    rest, test = split(np.arange(len(labels)), _TEST_SOURCES)
    train, validation = split(rest, _VALIDATION_SOURCES)
    return train, validation, test


def _draw(
    rng: np.random.Generator,
    number: int,
    digits: np.ndarray,
    labels: np.ndarray,
    *,
    canvas: int,
    max_fragments: int,
    fragment_size: int,
    min_contrast: float,
) -> Arrays:
    images = np.zeros((number, canvas, canvas), np.float32)
    digit_size = digits.shape[-1]
    contrasts = lambda: rng.uniform(min_contrast, 1, number).astype(np.float32)

    chosen = rng.integers(len(digits), size=number)
    contrast = contrasts()
    fragments = rng.integers(0, max_fragments + 1, number)
    for index in range(max_fragments):
        donor = rng.integers(len(digits), size=number)
        cut = rng.integers(0, digit_size - fragment_size + 1, (2, number))
        place = rng.integers(0, canvas - fragment_size + 1, (2, number))
        strength = contrasts() * (index < fragments)
        patches = digits[_windows(donor, cut, fragment_size)]
        _overlay(images, patches * strength[:, None, None], place)
    place = rng.integers(0, canvas - digit_size + 1, (2, number))
    _overlay(images, digits[chosen] * contrast[:, None, None], place)

    relevant = np.zeros(images.shape, bool)
    relevant[_windows(np.arange(number), place, digit_size)] = True
    clutter = (fragments / max(max_fragments, 1)).astype(np.float32)
    faintness = (1 - contrast) / np.float32(max(1 - min_contrast, 1e-6))
    return Arrays(
        dict(
            image=np.rint(images * 255).astype(np.uint8)[..., None],
            label=labels[chosen].astype(np.int32),
            relevant=relevant,
            difficulty=(clutter + faintness) / 2,
            clutter=clutter,
            faintness=faintness,
        )
    )


def _overlay(images: np.ndarray, patches: np.ndarray, place: np.ndarray):
    """Draws one patch on each image; where they overlap, the brighter one shows."""
    window = _windows(np.arange(len(images)), place, patches.shape[-1])
    images[window] = np.maximum(images[window], patches)


def _windows(image: np.ndarray, corner: np.ndarray, size: int):
    """Returns the index of a square at `corner`, [2, n], of each `image`."""
    offset = np.arange(size)
    rows = corner[0][:, None, None] + offset[:, None]
    columns = corner[1][:, None, None] + offset
    return image[:, None, None], rows, columns
