"""The contract of a dataset that a config names."""

import jax
import numpy as np

from dynsparse._internal.require import require
from dynsparse.data import Dataset

_SPLITS = ("train", "validation", "test")


def check_dataset(dataset: Dataset):
    """Refuses a dataset that training cannot use.

    Every split holds uint8 images of one shape and a label in [0, num_classes) for
    each; `inputs` makes finite floats of them, and `augment` keeps their shape.

    Raises:
        ValueError: With what is wrong, in words.

    Example:
        >>> from dynsparse.data import Split
        >>> class Stripes(data.Dataset):
        ...     num_classes = 2
        ...     def __init__(self):
        ...         labels = np.arange(8) % 2
        ...         stripes = np.full((8, 6, 6, 1), 255, np.uint8) * (labels == 1)[
        ...             :, None, None, None].astype(np.uint8)
        ...         self.train = self.validation = self.test = Split(stripes, labels)
        >>> testing.check_dataset(Stripes())
    """
    name = type(dataset).__name__
    require(
        isinstance(dataset, Dataset),
        f"{name} must be a dynsparse.data.Dataset",
    )
    shape = tuple(dataset.image_shape)
    for split in _SPLITS:
        found = getattr(dataset, split, None)
        if found is None:
            raise ValueError(f"{name}: {split} is missing.")
        images, labels = found.images, found.labels
        require(len(labels) > 0, f"{name}: {split} is empty")
        require(
            images.dtype == np.uint8 and images.shape == (len(labels), *shape),
            f"{name}: {split}.images must be uint8, {(len(labels), *shape)}, got "
            f"{images.dtype} of shape {images.shape}",
        )
        require(
            labels.min() >= 0 and labels.max() < dataset.num_classes,
            f"{name}: {split}.labels must be in [0, {dataset.num_classes}), got "
            f"{labels.min()} to {labels.max()}",
        )
    batch = dataset.train.images[:2]
    inputs = dataset.inputs(batch)
    require(bool(np.isfinite(inputs).all()), f"{name}: inputs must be finite")
    changed = dataset.augment(batch, jax.random.key(0))
    require(
        changed.shape == batch.shape and changed.dtype == batch.dtype,
        f"{name}: augment must keep shape and dtype, {batch.shape} of {batch.dtype}, "
        f"got {changed.shape} of {changed.dtype}",
    )
