"""Pictures of one's own, from an .npz file."""

import pathlib

import numpy as np
from sklearn.model_selection import train_test_split

from dynsparse.data.base import Dataset, Split

_REQUIRED = ("x_train", "y_train", "x_test", "y_test")


class NpzImages(Dataset):
    """Reads `x_train, y_train, x_test, y_test`, and `x_val, y_val` where present.

    Pictures are uint8, [n, height, width] or [n, height, width, channels]; labels are
    integers from 0 to the largest label of `y_train`.

    Args:
        path: The file.
        validation_fraction: Share of the training pictures that is set aside for
            validation, in (0, 1), stratified by label, where the file has no `x_val`.
        seed: Of that choice.

    Raises:
        ValueError: If the file or an array is missing, empty, or of the wrong type or
            shape, or a label is out of range; the message names it.
    """

    def __init__(self, *, path: str, validation_fraction: float, seed: int):
        arrays = _load(path)
        if not 0 < validation_fraction < 1:
            raise ValueError(
                "data: validation_fraction must be in (0, 1), got "
                f"{validation_fraction}."
            )
        self.num_classes = _num_classes(path, arrays["y_train"])
        train = _split(path, arrays, "train", self.num_classes)
        self.test = _split(path, arrays, "test", self.num_classes)
        if "x_val" in arrays:
            self.train = train
            self.validation = _split(path, arrays, "val", self.num_classes)
        else:
            self.train, self.validation = _cut(path, train, validation_fraction, seed)
        for name, split in (("x_val", self.validation), ("x_test", self.test)):
            if split.images.shape[1:] != self.image_shape:
                raise ValueError(
                    f"{path}: pictures of {name} are {split.images.shape[1:]}, "
                    f"those of x_train {self.image_shape}."
                )


def _load(path: str) -> dict[str, np.ndarray]:
    if not path:
        raise ValueError("data: path is empty; give --config.data.path=FILE.npz")
    if not pathlib.Path(path).is_file():
        raise ValueError(f"data: path: no such file {path!r}.")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # numpy, zipfile and zlib each raise their own
        raise ValueError(f"{path}: not a readable .npz file ({error}).") from error
    missing = [name for name in _REQUIRED if name not in arrays]
    if ("x_val" in arrays) != ("y_val" in arrays):
        missing.append("x_val" if "y_val" in arrays else "y_val")
    if missing:
        raise ValueError(f"{path}: missing arrays {missing}; it has {sorted(arrays)}.")
    return arrays


def _num_classes(path: str, labels: np.ndarray) -> int:
    if labels.size == 0:
        raise ValueError(f"{path}: y_train is empty.")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{path}: y_train must hold integers, got {labels.dtype}.")
    return int(labels.max()) + 1


def _split(path: str, arrays, name: str, num_classes: int) -> Split:
    images, labels = arrays[f"x_{name}"], arrays[f"y_{name}"]
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise ValueError(
            f"{path}: x_{name} must be uint8 [n, h, w] or [n, h, w, c], got "
            f"{images.dtype} {list(images.shape)}."
        )
    if 0 in images.shape:
        raise ValueError(f"{path}: x_{name} is empty, {list(images.shape)}.")
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != images.shape[:1]:
        raise ValueError(
            f"{path}: y_{name} must be integers [{len(images)}], got "
            f"{labels.dtype} {list(labels.shape)}."
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f"{path}: y_{name} must be in [0, {num_classes - 1}], the labels of "
            f"y_train, got {labels.min()} to {labels.max()}."
        )
    images = images if images.ndim == 4 else images[..., None]
    return Split(images=images, labels=labels.astype(np.int32))


def _cut(path: str, train: Split, fraction: float, seed: int) -> tuple[Split, Split]:
    try:
        first, second = train_test_split(
            np.arange(len(train)),
            test_size=fraction,
            stratify=train.labels,
            random_state=seed,
        )
    except ValueError as error:
        raise ValueError(f"{path}: cannot cut a validation split: {error}") from error
    return train.take(np.asarray(first)), train.take(np.asarray(second))
