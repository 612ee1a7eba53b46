"""Your own labelled images, from an .npz file."""

import math
import pathlib
import zipfile
from typing import NamedTuple

import numpy as np

from dynsparse.data.base.cuts import check_fractions, cut_by_label
from dynsparse.data.base.labels import check_labels, count_classes
from dynsparse.data.base.sources import Arrays
from dynsparse.data.base.splits import Splits

_REQUIRED = ("x_train", "y_train", "x_test", "y_test")


def make(*, path: str, validation_fraction: float, seed: int) -> Splits:
    """Reads a file with the arrays `x_train`, `y_train`, `x_test` and `y_test`.

    The arrays `x_val` and `y_val` are the validation split, where the file has them.
    Images are uint8, [n, height, width] or [n, height, width, channels]; labels are
    integers from 0 to the largest label of `y_train`.

    Types and shapes of all arrays are checked before any data is read; arrays of other
    names are not read at all.

    Args:
        path: Path of the file.
        validation_fraction: Share of the training images that is set aside for
            validation, in (0, 1), stratified by label, if the file has no `x_val`.
        seed: Seed of that choice.

    Raises:
        ValueError: If the file or an array is missing, empty, too large for the memory
            that is free, or of the wrong type or shape, or a label is out of range;
            the message names it.
    """
    check_fractions(validation_fraction=validation_fraction)
    arrays = _load(path)
    num_classes = count_classes(f"{path}: y_train", arrays["y_train"])
    train, test = (_split(path, arrays, n, num_classes) for n in ("train", "test"))
    if "x_val" in arrays:
        validation = _split(path, arrays, "val", num_classes)
    else:
        labels = train.arrays["label"]
        chosen, validated = cut_by_label(path, labels, validation_fraction, seed)
        train, validation = train.take(chosen), train.take(validated)
    facts = dict(num_classes=num_classes)
    return Splits(train=train, validation=validation, test=test, facts=facts)


class _Header(NamedTuple):
    """Header of an array in a file."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def _load(path: str) -> dict[str, np.ndarray]:
    """Returns the arrays that are used, once all their headers are right."""
    if not path:
        raise ValueError("data: path is empty; give --config.data.path=FILE.npz")
    if not pathlib.Path(path).is_file():
        raise ValueError(f"data: path: no such file {path!r}.")
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n.removesuffix(".npy") for n in archive.namelist()]
            wanted = [n for n in (*_REQUIRED, "x_val", "y_val") if n in names]
            headers = {name: _header(archive, name) for name in wanted}
    except Exception as error:  # numpy, zipfile and zlib each raise their own
        raise ValueError(f"{path}: not a readable .npz file ({error}).") from error
    missing = [name for name in _REQUIRED if name not in headers]
    if ("x_val" in headers) != ("y_val" in headers):
        missing.append("x_val" if "y_val" in headers else "y_val")
    if missing:
        raise ValueError(f"{path}: missing arrays {missing}; it has {sorted(names)}.")
    for name in headers:
        if name.startswith("x_"):
            _check_headers(path, headers, name.removeprefix("x_"))
    _check_memory(path, headers)
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in headers}
    except Exception as error:
        raise ValueError(f"{path}: not a readable .npz file ({error}).") from error


def _header(archive: zipfile.ZipFile, name: str) -> _Header:
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    return _Header(shape, dtype)


def _check_headers(path: str, headers: dict[str, _Header], name: str):
    images, labels = headers[f"x_{name}"], headers[f"y_{name}"]
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{path}: y_{name} must hold integers, got {labels.dtype}.")
    for kind, header in (("y", labels), ("x", images)):
        if 0 in header.shape:
            raise ValueError(f"{path}: {kind}_{name} is empty, {list(header.shape)}.")
    if images.dtype != np.uint8 or len(images.shape) not in (3, 4):
        raise ValueError(
            f"{path}: x_{name} must be uint8 [n, h, w] or [n, h, w, c], got "
            f"{images.dtype} {list(images.shape)}."
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"{path}: y_{name} must be integers [{images.shape[0]}], got "
            f"{labels.dtype} {list(labels.shape)}."
        )
    sides, expected = (_image_shape(h) for h in (images, headers["x_train"]))
    if sides != expected:
        raise ValueError(
            f"{path}: images of x_{name} are {sides}, those of x_train {expected}."
        )


def _image_shape(header: _Header) -> tuple[int, ...]:
    sides = header.shape[1:]
    return sides if len(sides) == 3 else (*sides, 1)


def _check_memory(path: str, headers: dict[str, _Header]):
    """Refuses arrays that do not fit into free memory, where the system tells it."""
    needed = sum(header.num_bytes for header in headers.values())
    needed += headers["x_train"].num_bytes  # a second time, when it is cut
    free = _free_bytes()
    if free is not None and needed > free:
        largest = max(headers, key=lambda name: headers[name].num_bytes)
        raise ValueError(
            f"{path}: needs {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are "
            f"free; {largest} is {list(headers[largest].shape)}."
        )


def _free_bytes() -> int | None:
    try:
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
        found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
        return 1024 * int(found[0])
    except (OSError, IndexError, ValueError):  # another system
        return None


def _split(path: str, arrays, name: str, num_classes: int) -> Arrays:
    images, labels = arrays[f"x_{name}"], arrays[f"y_{name}"]
    check_labels(f"{path}: y_{name}", labels, num_classes, "the labels of y_train")
    images = images if images.ndim == 4 else images[..., None]
    return Arrays(dict(image=images, label=labels.astype(np.int32)))
