"""Characters of a plain text file."""

import pathlib

import numpy as np

from dynsparse._internal.ranges import Count
from dynsparse.data.base.cuts import check_fractions, positions
from dynsparse.data.base.paths import existing_file
from dynsparse.data.base.splits import Splits
from dynsparse.data.base.windows import Windows

_ACCEPTED = "a text file in UTF-8"
_UNSEEN = "\ufffd"  # the replacement character of Unicode


def make(
    *,
    path: str,
    length: Count,
    stride: Count,
    validation_fraction: float,
    test_fraction: float,
) -> Splits:
    """Reads a text whole; examples are windows of its characters, `token`.

    The parts follow each other in the text: what is trained on, validated on, tested
    on. The vocabulary is the sorted characters of the part that is trained on, and at
    its end one token, U+FFFD, which stands for every character that is not among them.

    Args:
        path: Path of the file.
        length: Characters that a model reads; an example has one more.
        stride: Characters from the start of a training window to that of the next.
            Those of validation and test follow each other, so that each character
            counts once.
        validation_fraction: Share of the text for validation, in (0, 1).
        test_fraction: Share of the text for test, in (0, 1), at its end.

    Raises:
        ValueError: If the file is missing, no text or too short; the message names it.
    """
    check_fractions(
        validation_fraction=validation_fraction, test_fraction=test_fraction
    )
    file = existing_file(path, _ACCEPTED)
    codes = _read(file)
    cuts = positions(file, len(codes), (validation_fraction, test_fraction))
    parts = np.split(codes, cuts)
    known = np.setdiff1d(parts[0], [ord(_UNSEEN)])
    windows = [
        Windows(
            _encode(part, known),
            length=length,
            stride=step,
            vocabulary=len(known) + 1,
            where=f"{file}: the part for {name}",
        )
        for part, step, name in zip(
            parts,
            (stride, length, length),
            ("training", "validation", "test"),
            strict=True,
        )
    ]
    facts = dict(
        vocabulary=len(known) + 1,
        length=length,
        characters="".join(map(chr, known)) + _UNSEEN,
    )
    train, validation, test = windows
    return Splits(train=train, validation=validation, test=test, facts=facts)


def _read(file: pathlib.Path) -> np.ndarray:
    """Returns the code points of a text."""
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file}: not UTF-8 at byte {error.start}; accepted: {_ACCEPTED}."
        ) from error
    if not text:
        raise ValueError(f"{file}: is empty; accepted: {_ACCEPTED}.")
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def _encode(codes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Returns the place of each code in `known`, and behind it of all others."""
    places = np.searchsorted(known, codes)
    found = known[np.minimum(places, len(known) - 1)] == codes
    kind = np.min_scalar_type(len(known))
    return np.where(found, places, len(known)).astype(kind)
