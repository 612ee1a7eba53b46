"""CIFAR-10 and CIFAR-100, from their binary files."""

import pathlib

import numpy as np

from dynsparse.data.base.cuts import check_fractions, cut_by_label
from dynsparse.data.base.labels import check_labels, class_facts
from dynsparse.data.base.paths import existing_folder
from dynsparse.data.base.sources import Arrays
from dynsparse.data.base.splits import Splits

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_ACCEPTED = (
    "the folder of the binary version, with data_batch_1.bin to data_batch_5.bin and "
    "test_batch.bin (CIFAR-10), or train.bin and test.bin (CIFAR-100)"
)
_FILES_10 = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
_FILES_100 = ("train.bin", "test.bin")
_NAMES_100 = ("coarse_label_names.txt", "fine_label_names.txt")  # as the bytes of a row


def make(*, path: str, coarse: bool, validation_fraction: float, seed: int) -> Splits:
    """Reads the binary version of CIFAR-10 or CIFAR-100 (Krizhevsky, 2009).

    Which of the two it is, the names of the files tell.

    Args:
        path: Folder of the files, cifar-10-batches-bin or cifar-100-binary.
        coarse: Whether the label is one of the 20 superclasses of CIFAR-100.
        validation_fraction: Share of the training images that is set aside for
            validation, in (0, 1), stratified by label.
        seed: Seed of that choice.

    Raises:
        ValueError: If a file is missing, truncated or empty, a label is out of range,
            or CIFAR-10 is asked for superclasses; the message names it.
    """
    check_fractions(validation_fraction=validation_fraction)
    folder = existing_folder(path, _ACCEPTED)
    ten = any((folder / name).is_file() for name in _FILES_10)
    files = [folder / name for name in (_FILES_10 if ten else _FILES_100)]
    if missing := [file.name for file in files if not file.is_file()]:
        raise ValueError(f"{folder}: has no {missing[0]}; accepted: {_ACCEPTED}.")
    if coarse and ten:
        raise ValueError(f"data: coarse must be False for CIFAR-10, {folder}.")
    label_bytes, used = (1, 0) if ten else (2, 0 if coarse else 1)
    *parts, test = (_read(file, label_bytes, used) for file in files)
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    names = folder / ("batches.meta.txt" if ten else _NAMES_100[used])
    facts = class_facts(f"{files[0]}: labels", labels, names)
    check_labels(
        f"{files[-1]}: labels", test[1], facts["num_classes"], "those of training"
    )
    chosen, validated = cut_by_label(folder, labels, validation_fraction, seed)
    train = Arrays(dict(image=images, label=labels))
    return Splits(
        train=train.take(chosen),
        validation=train.take(validated),
        test=Arrays(dict(image=test[0], label=test[1])),
        facts=facts,
    )


def _read(
    file: pathlib.Path, label_bytes: int, used: int
) -> tuple[np.ndarray, np.ndarray]:
    row = label_bytes + _PIXELS
    content = np.fromfile(file, np.uint8)
    if not len(content) or len(content) % row:
        what = "is truncated or damaged" if len(content) else "is empty"
        raise ValueError(
            f"{file}: {what}: it has {len(content)} bytes; accepted: rows of {row} "
            f"bytes, {label_bytes} for labels and {_PIXELS} for the image."
        )
    rows = content.reshape(-1, row)
    images = rows[:, label_bytes:].reshape(-1, *_SHAPE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), rows[:, used].astype(np.int32)
