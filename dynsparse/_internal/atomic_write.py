"""Atomic file writes, and one-line errors for files that are damaged."""

import contextlib
import errno
import json
import math
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any


class DamagedFileError(ValueError):
    """A file is missing or not what it should be; the text is one line."""


@contextlib.contextmanager
def atomic_write(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a file beside `path` to write, which takes its place at the end.

    Where the writing fails, on a full disk for one, `path` stays what it was. A power
    cut leaves the old or the new one.

    Args:
        path: To be written; its folder exists.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        with contextlib.suppress(OSError):  # some file systems sync no folders
            _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: pathlib.Path, content: bytes):
    """Writes a file, whole or not at all.

    Args:
        path: To be written; its folder exists.
        content: Of the file.
    """
    with atomic_write(path) as file:
        file.write_bytes(content)


def write_json(path: pathlib.Path, content: Any):
    """Writes plain values as JSON, whole or not at all.

    Args:
        path: To be written; its folder exists.
        content: As in `as_json`.
    """
    write_bytes(path, f"{as_json(content, indent=2)}\n".encode())


def as_json(content: Any, indent: int | None = None) -> str:
    """Plain values as JSON, which has no number that is not finite: null.

    Args:
        content: Mappings, lists, text, numbers, None.
        indent: Spaces of a level; None for a single line.
    """
    return json.dumps(plain(content), indent=indent, allow_nan=False)


def plain(content: Any) -> Any:
    """Values as `read_json` gives them back after `write_json`.

    Args:
        content: As in `as_json`.
    """
    if isinstance(content, Mapping):
        return {key: plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [plain(value) for value in content]
    finite = not isinstance(content, float) or math.isfinite(content)
    return content if finite else None


def read_json(path: pathlib.Path, advice: str) -> dict[str, Any] | None:
    """Returns the content of a JSON file, or None if there is none.

    Args:
        path: Of the file.
        advice: What to do where it cannot be read.

    Raises:
        DamagedFileError: If it is not an object in JSON.
    """
    if not os.path.lexists(path):
        return None
    with reading(path, advice):
        text = path.read_text("utf-8")
        if not text.strip():
            raise ValueError("it is empty")
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}, not an object")
        return content


@contextlib.contextmanager
def reading(path: pathlib.Path, advice: str) -> Iterator[None]:
    """Says of what goes wrong inside that a file is damaged, and how.

    Args:
        path: Of the file that is read inside.
        advice: What to do where it cannot be read.

    Raises:
        DamagedFileError: If it is no file, cannot be opened, is not UTF-8, or what is
            inside raises an AttributeError, LookupError, TypeError or ValueError.
    """
    try:
        if path.exists() and not path.is_file():
            found = "a folder" if path.is_dir() else "no plain file"
            raise ValueError(f"{found} is in its place")
        yield
    except OSError as error:
        raise _damaged(path, f"cannot be read: {error.strerror}", advice) from error
    except UnicodeDecodeError as error:
        raise _damaged(path, "is damaged: not UTF-8", advice) from error
    except json.JSONDecodeError as error:
        raise _damaged(path, f"is damaged: no JSON ({error})", advice) from error
    except (AttributeError, LookupError, RecursionError, TypeError) as error:
        told = f"is damaged: {type(error).__name__}: {error}"
        raise _damaged(path, told, advice) from error
    except ValueError as error:
        raise _damaged(path, f"is damaged: {error}", advice) from error


def require_space(folder: pathlib.Path, size: int):
    """Refuses to write into a folder what does not fit there.

    For what a library writes, which would say so many times over.

    Args:
        folder: Where it would be.
        size: In bytes.

    Raises:
        OSError: What writing it would raise.
    """
    file = folder / ".space"
    try:
        with file.open("wb") as opened:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(opened.fileno(), 0, size)
            elif shutil.disk_usage(folder).free < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise as_disk_error(error, folder) from error
    finally:
        file.unlink(missing_ok=True)


def as_disk_error(error: Exception, path: pathlib.Path) -> Exception:
    """Returns the `OSError` of a disk for what a library makes of one.

    Args:
        error: That was raised; what no disk says is returned as it is.
        path: That was written to.
    """
    found: BaseException | None = error
    while found is not None:
        told = str(found)
        for code in _DISK:
            known = isinstance(found, OSError) and found.errno == code
            if known or os.strerror(code) in told:
                return OSError(code, os.strerror(code), str(path))
        if "RESOURCE_EXHAUSTED" in told:
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        found = found.__cause__ or found.__context__
    return error


def is_full(error: OSError) -> bool:
    """Whether an error says that a disk, or one's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _damaged(path: pathlib.Path, what: str, advice: str) -> DamagedFileError:
    return DamagedFileError(f"{path} {' '.join(what.split())}; {advice}.")


def _sync(path: pathlib.Path):
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


# What a disk may answer to a program that writes.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.EFBIG)
