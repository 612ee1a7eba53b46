"""Labelled images in IDX files, as MNIST and its family have them."""

import gzip
import math
import pathlib
import zlib

import numpy as np

from dynsparse.data.base.cuts import check_fractions, cut_by_label
from dynsparse.data.base.labels import check_labels, class_facts
from dynsparse.data.base.paths import existing_folder
from dynsparse.data.base.sources import Arrays
from dynsparse.data.base.splits import Splits

_IMAGES, _LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
_ACCEPTED = (
    f"a folder with train-{_IMAGES}, train-{_LABELS}, t10k-{_IMAGES} and "
    f"t10k-{_LABELS}, each plain or .gz"
)
_UNSIGNED_BYTES = 8  # code of the type of the values


def make(*, path: str, validation_fraction: float, seed: int) -> Splits:
    """Reads the four IDX files of MNIST, Fashion-MNIST, KMNIST or one's own.

    The format is that of http://yann.lecun.com/exdb/mnist (LeCun, Cortes and Burges).
    The files named `t10k` are the test part. A file `class_names.txt` beside them may
    name the classes, one a line.

    Args:
        path: Folder of the files.
        validation_fraction: Share of the training images that is set aside for
            validation, in (0, 1), stratified by label.
        seed: Seed of that choice.

    Raises:
        ValueError: If a file is missing, truncated, empty or of another type, or a
            label is out of range; the message names it.
    """
    check_fractions(validation_fraction=validation_fraction)
    folder = existing_folder(path, _ACCEPTED)
    train, test = (_read_part(folder, part) for part in ("train", "t10k"))
    sides = [part.arrays["image"].shape[1:3] for part in (train, test)]
    if sides[0] != sides[1]:
        raise ValueError(
            f"{folder}: images of t10k are {sides[1]}, those of train {sides[0]}."
        )
    labels = train.arrays["label"]
    file = f"{_find(folder, f'train-{_LABELS}')}: labels"
    facts = class_facts(file, labels, folder / "class_names.txt")
    file = f"{_find(folder, f't10k-{_LABELS}')}: labels"
    given = "those of training"
    check_labels(file, test.arrays["label"], facts["num_classes"], given)
    chosen, validated = cut_by_label(folder, labels, validation_fraction, seed)
    return Splits(
        train=train.take(chosen),
        validation=train.take(validated),
        test=test,
        facts=facts,
    )


def _read_part(folder: pathlib.Path, part: str) -> Arrays:
    files = [_find(folder, f"{part}-{kind}") for kind in (_IMAGES, _LABELS)]
    images, labels = _read(files[0], 3), _read(files[1], 1)
    if len(images) != len(labels):
        raise ValueError(
            f"{files[1]}: has {len(labels)} labels, {files[0].name} has {len(images)} "
            "images."
        )
    return Arrays(dict(image=images[..., None], label=labels.astype(np.int32)))


def _find(folder: pathlib.Path, name: str) -> pathlib.Path:
    """The file of a name; some archives write a dot before "idx"."""
    plain = (folder / name, folder / name.replace("-idx", ".idx"))
    for file in plain:
        for found in (file, file.with_name(f"{file.name}.gz")):
            if found.is_file():
                return found
    raise ValueError(f"{folder}: has no {name} or {name}.gz; accepted: {_ACCEPTED}.")


def _read(file: pathlib.Path, ndim: int) -> np.ndarray:
    try:
        content = file.read_bytes()
        if file.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{file}: not a readable file ({error}).") from error
    kind = f"an IDX file of uint8 with {ndim} axes"
    if len(content) < 4 + 4 * ndim:
        raise ValueError(f"{file}: has {len(content)} bytes; accepted: {kind}.")
    if tuple(content[:4]) != (0, 0, _UNSIGNED_BYTES, ndim):
        raise ValueError(
            f"{file}: begins with {content[:4].hex(' ')}; accepted: {kind}, which "
            f"begins with 00 00 08 {ndim:02}."
        )
    shape = np.frombuffer(content, ">u4", ndim, offset=4).tolist()
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * ndim)
    if 0 in shape:
        raise ValueError(f"{file}: is empty, {shape}; accepted: {kind}.")
    if len(values) != math.prod(shape):
        raise ValueError(
            f"{file}: is truncated or damaged: {shape} are {math.prod(shape)} bytes, "
            f"it has {len(values)}."
        )
    return values.reshape(shape)
