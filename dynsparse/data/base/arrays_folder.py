"""Arrays in a folder of .npy files, memory-mapped."""

import os
import pathlib

import numpy as np

from dynsparse.data.base.sources import Arrays


def open_arrays(folder: str | os.PathLike[str]) -> Arrays:
    """Returns a source of the rows of arrays that stay on the disk.

    Args:
        folder: Of files NAME.npy, each [n, ...] with the same n > 0; other files are
            not read. Each is the array NAME of an example.

    Raises:
        ValueError: If there is no such folder or file, or a file is truncated, empty or
            of another type or length; the message names it.

    >>> np.save("image.npy", np.zeros((3, 8, 8, 1), np.uint8))
    >>> np.save("label.npy", np.arange(3))
    >>> data.open_arrays(".").read_batch([2, 0])["label"].tolist()
    [2, 0]
    """
    accepted = "a folder of .npy files, each an array of the same length"
    files = sorted(pathlib.Path(folder).glob("*.npy"))
    if not files:
        raise ValueError(f"{folder}: has no .npy files; accepted: {accepted}.")
    arrays = {file.stem: _open(file) for file in files}
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{folder}: lengths are {lengths}; accepted: {accepted}.")
    return Arrays(arrays)


def _open(file: pathlib.Path) -> np.ndarray:
    try:
        values = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{file}: not a readable .npy file ({error}).") from error
    if not values.ndim or not values.size:
        raise ValueError(f"{file}: is empty, {list(values.shape)}; accepted: [n, ...].")
    return np.asarray(values)
