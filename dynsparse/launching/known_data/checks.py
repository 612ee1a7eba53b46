"""Whether files are those of a known data set: digests, counts and labels."""

import pathlib
from typing import Any

import numpy as np

from dynsparse.launching.arguments import UserError
from dynsparse.launching.known_data.folder import digest
from dynsparse.launching.known_data.table import KnownData


def check_digest(file: pathlib.Path, name: str, known: KnownData):
    """Refuses a file that is not the published one of its name.

    Args:
        file: Its path.
        name: As it is published, perhaps behind folders.
        known: The data set. Names of which no digest is published are not checked.

    Raises:
        UserError: With both digests.
    """
    published = known.published.get(pathlib.PurePosixPath(name).name)
    if published is None:
        return
    kind, _, expected = published.partition(":")
    found = digest(file, kind)
    if found != expected:
        raise UserError(
            f"{name}: its {kind} is {found}, the published one is {expected}: it is "
            f"truncated or changed; get it again at {known.home}"
        )


def check_examples(folder: pathlib.Path, known: KnownData):
    """Refuses a folder that does not hold the whole data set.

    Args:
        folder: In the layout of its source.
        known: The data set.

    Raises:
        UserError: If a file is missing or bad, or counts are others.
    """
    from dynsparse import data  # loads jax, which no other verb needs so far

    try:
        splits = data.from_config(dict(known.source, path=str(folder / known.read)))
        parts: Any = (splits.train, splits.validation, splits.test)
        for part in parts:
            _ = part[0], part[len(part) - 1]
    except ValueError as error:
        raise UserError(error) from error
    found = tuple(map(len, parts))
    if found != known.examples:
        raise UserError(
            f"{folder}: {_spoken(found)} examples to train on, validate on and test "
            f"on; the whole has {_spoken(known.examples)}: the source is truncated or "
            "another"
        )
    for fact, value in known.facts.items():
        if splits.facts[fact] != value:
            raise UserError(
                f"{folder}: {fact} is {splits.facts[fact]}, not {value}: the source is "
                "mislabelled or another"
            )
    if known.class_counts:
        labels = np.concatenate([part.arrays["label"] for part in parts])
        counts = tuple(np.bincount(labels, minlength=len(known.class_counts)).tolist())
        if counts != known.class_counts:
            raise UserError(
                f"{folder}: {_spoken(counts)} examples of each class; the whole has "
                f"{_spoken(known.class_counts)}: the source is mislabelled or another"
            )


def _spoken(counts: tuple[int, ...]) -> str:
    return ", ".join(f"{count:,}" for count in counts)
