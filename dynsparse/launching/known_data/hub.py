"""Data sets of Hugging Face, in the files that their sources read."""

import importlib
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dynsparse.launching.arguments import UserError
from dynsparse.launching.known_data.pieces import Piece

CIFAR_10 = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
CIFAR_100 = ("train.bin", "test.bin")


def idx_pieces(path: str) -> Iterator[Piece]:
    """Gives images and labels as IDX files.

    Args:
        path: Name of the data set there.

    Raises:
        UserError: If it cannot be loaded, or a label is no byte.
    """
    parts = _load(path)
    for part, name in (("train", "train"), ("test", "t10k")):
        images = _images(parts[part], "image")
        labels = _labels(path, parts[part], "label")
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, values.ndim])
            sizes = np.array(values.shape, ">u4").tobytes()
            yield _piece(f"{name}-{kind}-ubyte", header + sizes + values.tobytes())


def cifar_pieces(
    path: str, files: Sequence[str], labels: Sequence[str]
) -> Iterator[Piece]:
    """Gives images and labels as binary files of CIFAR, and the names of the labels.

    Args:
        path: Name of the data set there.
        files: Names of the files, the last for test; the others have equal shares.
        labels: Columns of the labels, in order of their bytes.

    Raises:
        UserError: As `idx_pieces`.
    """
    parts = _load(path)
    for column in labels:
        names = parts["train"].features[column].names
        file = "batches.meta" if column == "label" else f"{column}_names"
        yield _piece(f"{file}.txt", "".join(f"{name}\n" for name in names).encode())
    *train, test = files
    for part, chosen in (("train", train), ("test", [test])):
        images = _images(parts[part], "img").transpose(0, 3, 1, 2)
        columns = [_labels(path, parts[part], name) for name in labels]
        rows = np.column_stack([*columns, images.reshape(len(images), -1)])
        for file, batch in zip(chosen, np.array_split(rows, len(chosen)), strict=True):
            yield _piece(file, batch.tobytes())


def text_pieces(path: str, revision: str) -> Iterator[Piece]:
    """Gives one text, of which the parts follow each other.

    Args:
        path: Name of the data set there.
        revision: Of the data set.

    Raises:
        UserError: If it cannot be loaded.
    """
    parts = _load(path, revision=revision)
    texts = (parts[part]["text"][0] for part in ("train", "validation", "test"))
    yield _piece("input.txt", "".join(texts).encode())


def _load(path: str, **options: str) -> Any:
    datasets = importlib.import_module("datasets")  # of an extra that few need
    try:
        return datasets.load_dataset(path, **options)
    except Exception as error:  # of the network, the cache, the hub, the files
        told = f"{type(error).__name__}: {error}"
        raise UserError(f"--source=hf: cannot load {path}: {told}") from error


def _images(rows: Any, column: str) -> np.ndarray:
    return np.stack([np.asarray(row[column], np.uint8) for row in rows])


def _labels(path: str, rows: Any, column: str) -> np.ndarray:
    labels: Sequence[int] = np.asarray(rows[column]).tolist()
    for number, label in enumerate(labels):
        if not 0 <= label < 256:
            raise UserError(
                f"--source=hf: {path}: {column} of row {number} is {label}; accepted: "
                "0 to 255"
            )
    return np.array(labels, np.uint8)


def _piece(name: str, content: bytes) -> Piece:
    return Piece(name, len(content), lambda: io.BytesIO(content))
