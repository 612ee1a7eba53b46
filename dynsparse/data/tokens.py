"""Arrays of tokens in .bin or .npy files, memory-mapped."""

import pathlib
from typing import Literal

import numpy as np

from dynsparse._internal.ranges import Count
from dynsparse.data.base.cuts import check_fractions, positions
from dynsparse.data.base.splits import Splits
from dynsparse.data.base.windows import Windows

_ACCEPTED = (
    "a .bin file of plain numbers or an .npy file, or a folder with train and test "
    "(or val) of one of these"
)
_ENDINGS = (".bin", ".npy")


def make(
    *,
    path: str,
    dtype: Literal["uint8", "uint16", "uint32", "int32", "int64"],
    vocabulary: Count,
    length: Count,
    stride: Count,
    validation_fraction: float,
    test_fraction: float,
) -> Splits:
    """Reads windows of tokens, `token`, from files that stay on the disk.

    Of one file the parts follow each other: what is trained on, validated on, tested
    on. Of a folder the file `test` is the test part, or else `val`; validation is `val`
    where there are both, and otherwise cut from the end of `train`.

    Files are never read whole, so that tokens are held against the vocabulary when
    their window is read.

    Args:
        path: A file, .bin (little-endian numbers without a header) or .npy (one axis),
            or a folder of train, val, test.
        dtype: Type of the numbers.
        vocabulary: Number of different tokens.
        length: Tokens that a model reads; an example has one more.
        stride: Tokens from the start of a training window to that of the next. Those of
            validation and test follow each other, so that each token counts once.
        validation_fraction: Share that is validated on where no file is, in (0, 1).
        test_fraction: Share that is tested on where no file is, in (0, 1).

    Raises:
        ValueError: If a file is missing, truncated, too short or of another type; the
            message names it.
    """
    check_fractions(
        validation_fraction=validation_fraction, test_fraction=test_fraction
    )
    if not path or not pathlib.Path(path).exists():
        raise ValueError(f"data: path: {path!r} does not exist; accepted: {_ACCEPTED}.")
    parts = _parts(pathlib.Path(path), dtype, validation_fraction, test_fraction)
    windows = {
        name: Windows(
            tokens,
            length=length,
            stride=stride if name == "train" else length,
            vocabulary=vocabulary,
            where=f"{file}: the part for {name}",
        )
        for name, (file, tokens) in parts.items()
    }
    return Splits(**windows, facts=dict(vocabulary=vocabulary, length=length))


def _parts(
    path: pathlib.Path, dtype: str, validation_fraction: float, test_fraction: float
) -> dict[str, tuple[pathlib.Path, np.ndarray]]:
    if path.is_file():
        tokens = _open(path, dtype)
        cuts = positions(path, len(tokens), (validation_fraction, test_fraction))
        train, validation, test = np.split(tokens, cuts)
        return dict(
            train=(path, train), validation=(path, validation), test=(path, test)
        )
    files = {name: _find(path, name) for name in ("train", "val", "test")}
    file, held_out = files["train"], files["test"] or files["val"]
    if file is None or held_out is None:
        raise ValueError(
            f"{path}: has no {'train' if file is None else 'test or val'}; accepted: "
            f"{_ACCEPTED}."
        )
    train, test = _open(file, dtype), _open(held_out, dtype)
    if files["test"] and files["val"]:
        validation = files["val"], _open(files["val"], dtype)
    else:
        cut = round(len(train) * (1 - validation_fraction))
        validation, train = (file, train[cut:]), train[:cut]
    return dict(train=(file, train), validation=validation, test=(held_out, test))


def _find(folder: pathlib.Path, name: str) -> pathlib.Path | None:
    files = (folder / f"{name}{ending}" for ending in _ENDINGS)
    return next((file for file in files if file.is_file()), None)


def _open(file: pathlib.Path, dtype: str) -> np.ndarray:
    """Returns the tokens of a file, memory-mapped."""
    if file.suffix not in _ENDINGS:
        raise ValueError(f"{file}: is no .bin or .npy file; accepted: {_ACCEPTED}.")
    size, width = file.stat().st_size, np.dtype(dtype).itemsize
    if not size:
        raise ValueError(f"{file}: is empty; accepted: {_ACCEPTED}.")
    if file.suffix == ".bin":
        if size % width:
            raise ValueError(
                f"{file}: is truncated or no {dtype}: {size} bytes are no multiple of "
                f"{width}."
            )
        return np.asarray(np.memmap(file, np.dtype(dtype).newbyteorder("<"), "r"))
    try:
        tokens = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{file}: not a readable .npy file ({error}).") from error
    if tokens.dtype != dtype or tokens.ndim != 1:
        raise ValueError(
            f"{file}: must be {dtype} with one axis, got {tokens.dtype} "
            f"{list(tokens.shape)}."
        )
    return np.asarray(tokens)
