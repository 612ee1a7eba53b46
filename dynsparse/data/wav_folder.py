"""Sounds in a folder per class, as Speech Commands has them."""

import functools
import hashlib
import os
import pathlib
import re
import wave

import numpy as np

from dynsparse._internal.ranges import Count
from dynsparse.data.base.cuts import check_fractions
from dynsparse.data.base.labelled_files import (
    LabelledFiles,
    class_folders,
    find_files,
)
from dynsparse.data.base.paths import existing_folder
from dynsparse.data.base.splits import Splits

_ACCEPTED = "a folder with LABEL/*.wav, 16-bit PCM of one channel"
_LISTS = ("validation_list.txt", "testing_list.txt")
_TRAIN, _VALIDATION, _TEST = range(3)
_HASHES = 2**27  # different values that a name is hashed to


def make(
    *,
    path: str,
    samples: Count,
    sample_rate: Count,
    validation_fraction: float,
    test_fraction: float,
) -> Splits:
    """Finds sounds; each is read when it is asked for.

    An example has `wave`, int16 [samples], `num_samples`, how many of them are of the
    file, and `label`. A longer file is cut at the end, a shorter one is followed by
    zeros. Labels are the folders, sorted by name; those that
    begin with an underscore, such as _background_noise_, are none.

    The lists validation_list.txt and testing_list.txt say what is not trained on.
    Without them a hash of the file name does, up to "_nohash_", so that a speaker is in
    one part alone: the rule of the README of Speech Commands (Warden, 2018,
    arXiv:1804.03209).

    Args:
        path: Folder of the folders.
        samples: Length of an example.
        sample_rate: Samples per second, of all files.
        validation_fraction: Share for validation without lists, in (0, 1).
        test_fraction: Share for test without lists, in (0, 1).

    Raises:
        ValueError: If a folder, a list or a part is missing or empty, or a list names a
            file that is not there; and, as it is read, if a file is truncated or of
            another kind. The message names it.
    """
    check_fractions(
        validation_fraction=validation_fraction, test_fraction=test_fraction
    )
    folder = existing_folder(path, _ACCEPTED)
    class_names = class_folders(folder, _ACCEPTED)
    read = functools.partial(_read, samples=samples, sample_rate=sample_rate)
    files = find_files(folder, class_names, {".wav"}, read)
    if listed := [name for name in _LISTS if (folder / name).is_file()]:
        if len(listed) == 1:
            raise ValueError(
                f"{folder}: has {listed[0]} alone; accepted: both or none."
            )
        part = _listed_parts(folder, files)
    else:
        part = _hashed_parts(files, validation_fraction, test_fraction)
    counts = np.bincount(part, minlength=3)
    if not counts.all():
        raise ValueError(
            f"{folder}: {counts[0]}, {counts[1]} and {counts[2]} files to train on, "
            "validate on and test on; accepted: some of each."
        )
    return Splits(
        train=files.take(part == _TRAIN),
        validation=files.take(part == _VALIDATION),
        test=files.take(part == _TEST),
        facts=dict(
            num_classes=len(class_names),
            class_names=class_names,
            samples=samples,
            sample_rate=sample_rate,
        ),
    )


def _listed_parts(folder: pathlib.Path, files: LabelledFiles) -> np.ndarray:
    part = np.zeros(len(files), np.int8)
    names = zip(files.labels, files.names, strict=True)
    number = {
        f"{files.class_names[label]}/{os.fsdecode(name)}": index
        for index, (label, name) in enumerate(names)
    }
    for value, file in zip((_VALIDATION, _TEST), _LISTS, strict=True):
        lines = (folder / file).read_text("utf-8", errors="replace").splitlines()
        for line, name in enumerate(lines, 1):
            if name.strip() not in number:
                raise ValueError(
                    f"{folder / file}: line {line}: no such file {name.strip()!r}; "
                    "accepted: LABEL/NAME.wav."
                )
            part[number[name.strip()]] = value
    return part


def _hashed_parts(
    files: LabelledFiles, validation_fraction: float, test_fraction: float
) -> np.ndarray:
    bounds = [validation_fraction, validation_fraction + test_fraction]
    shares = [_share(name) for name in files.names]
    after = np.searchsorted(bounds, shares, side="right")
    return np.array([_VALIDATION, _TEST, _TRAIN])[after]


def _share(name: bytes) -> float:
    """A number in [0, 1], the same for all files of one speaker."""
    speaker = re.sub(rb"_nohash_.*$", b"", name)
    hashed = int(hashlib.sha1(speaker).hexdigest(), 16)
    return hashed % _HASHES / (_HASHES - 1)


def _read(
    path: pathlib.Path, samples: int, sample_rate: int
) -> dict[str, np.ndarray | np.int32]:
    try:
        with wave.open(str(path), "rb") as file:
            kind = file.getnchannels(), 8 * file.getsampwidth(), file.getframerate()
            length = file.getnframes()
            content = file.readframes(min(length, samples))
    except (wave.Error, EOFError, OSError) as error:
        raise ValueError(
            f"{path}: not a readable WAV file of PCM ({error})."
        ) from error
    if kind != (1, 16, sample_rate):
        raise ValueError(
            f"{path}: must be 16-bit, of one channel and {sample_rate} Hz, got "
            f"{kind[1]}-bit, {kind[0]} channels and {kind[2]} Hz."
        )
    found = np.frombuffer(content, "<i2", len(content) // 2)
    if not length or len(found) < min(length, samples):
        what = "is truncated" if length else "is empty"
        raise ValueError(f"{path}: {what}: {len(found)} of {length} samples.")
    padded = np.zeros(samples, np.int16)
    padded[: len(found)] = found
    return dict(wave=padded, num_samples=np.int32(len(found)))
