"""Labels of examples: their range, and the names of the classes."""

import pathlib
from typing import Any

import numpy as np
from jaxtyping import Integer

_MAX_CLASSES = 100_000  # above, a label is rather an identifier or a mistake


def count_classes(what: str, labels: Integer[np.ndarray, "n"]) -> int:
    """Returns the number of classes that the labels of a training part are of.

    Args:
        what: Names the labels in errors.
        labels: From 0.

    Raises:
        ValueError: If a label is negative, or no number of a class.
    """
    smallest, largest = int(labels.min()), int(labels.max())
    if largest >= _MAX_CLASSES:
        raise ValueError(
            f"{what} must be in [0, {_MAX_CLASSES - 1}], got {largest}; "
            "number the classes from 0."
        )
    if smallest < 0:
        raise ValueError(f"{what} must be in [0, {largest}], got {smallest}.")
    return largest + 1


def check_labels(
    what: str, labels: Integer[np.ndarray, "n"], num_classes: int, given_by: str
):
    """Refuses labels outside of [0, num_classes).

    Args:
        what: Names the labels in errors.
        labels: Of any part.
        num_classes: Number of classes.
        given_by: Says where that number comes from.

    Raises:
        ValueError: With the smallest and the largest.
    """
    smallest, largest = int(labels.min()), int(labels.max())
    if smallest < 0 or largest >= num_classes:
        raise ValueError(
            f"{what} must be in [0, {num_classes - 1}], {given_by}, "
            f"got {smallest} to {largest}."
        )


def class_facts(
    what: str, labels: Integer[np.ndarray, "n"], names: pathlib.Path
) -> dict[str, Any]:
    """Returns the facts `num_classes`, and `class_names` where a file has them.

    Args:
        what: Names the labels in errors.
        labels: Of the training part.
        names: A file with a name on each line, in order of the labels. It may be
            absent; then the largest label tells the number of classes.

    Raises:
        ValueError: If a label is out of range, or the file is no text or empty.
    """
    if not names.is_file():
        return dict(num_classes=count_classes(what, labels))
    try:
        lines = names.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{names}: must be UTF-8, a name a line ({error}).") from error
    listed = [line.strip() for line in lines if line.strip()]
    if not listed:
        raise ValueError(f"{names}: is empty; it must have a name on each line.")
    check_labels(what, labels, len(listed), f"the classes of {names.name}")
    return dict(num_classes=len(listed), class_names=listed)
