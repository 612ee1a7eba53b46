"""A prepared folder: written beside its place, and put there when it is whole."""

import contextlib
import hashlib
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping

from dynsparse._internal.atomic_write import read_json, write_json
from dynsparse.launching.arguments import UserError
from dynsparse.launching.known_data.pieces import Piece

CHECKSUMS = "checksums.json"
_SOURCE = ".source"  # of a folder that is not whole: what it is filled from
_AGAIN = "remove the folder and prepare it again"


class TruncatedError(Exception):
    """A file ended before its end."""


def put(folder: pathlib.Path, name: str, piece: Piece) -> pathlib.Path:
    """Writes a file of a folder, whole or not at all; one that is there already stays.

    Args:
        folder: It is made where there is none.
        name: Path of the file in it.
        piece: What is written.

    Returns:
        The path of the file.

    Raises:
        TruncatedError: If there is less to read than its size.
    """
    file = folder / name
    if file.is_file() and file.stat().st_size == piece.size:
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{os.getpid()}.{file.name}")
    try:
        with piece.open() as source, unfinished.open("wb") as target:
            shutil.copyfileobj(source, target, 2**20)
            written = target.tell()
        if written != piece.size:
            raise TruncatedError(f"{piece.name} has {written} of {piece.size} bytes")
        os.replace(unfinished, file)
    finally:
        unfinished.unlink(missing_ok=True)
    return file


def begin(folder: pathlib.Path, source: str):
    """Makes a folder for what is read of a source; what is there of another is removed.

    Args:
        folder: The folder.
        source: Names the source.
    """
    begun = folder / _SOURCE
    if folder.is_dir() and not (begun.is_file() and begun.read_text() == source):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    begun.write_text(source)


@contextlib.contextmanager
def kept_if_right(file: pathlib.Path) -> Iterator[None]:
    """Removes a file if what is inside raises, so that it is written again."""
    try:
        yield
    except Exception:
        file.unlink(missing_ok=True)
        raise


def digest(file: pathlib.Path, kind: str = "sha256") -> str:
    """Returns the digest of a file in hexadecimal.

    Args:
        file: Its path.
        kind: "md5" or "sha256".
    """
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, kind).hexdigest()


def digests(folder: pathlib.Path) -> dict[str, str]:
    """Returns the SHA-256 of each file of a folder, and one for each folder in it.

    That of a folder is of the lines "DIGEST  NAME" of its files, sorted by name.
    """
    found = {}
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            files = sorted(file for file in entry.iterdir() if file.is_file())
            lines = (f"{digest(file)}  {file.name}\n" for file in files)
            found[entry.name] = hashlib.sha256("".join(lines).encode()).hexdigest()
        elif entry.name != CHECKSUMS:
            found[entry.name] = digest(entry)
    return found


def finish(partial: pathlib.Path, folder: pathlib.Path, told: Mapping[str, str]):
    """Puts a folder in its place, with the digests of its files.

    Args:
        partial: The folder, whole.
        folder: Its place, where nothing is.
        told: What is recorded beside the digests.
    """
    for file in partial.rglob(".*"):  # what a killed process left, too
        file.unlink()
    write_json(partial / CHECKSUMS, dict(told, sha256=digests(partial)))
    os.replace(partial, folder)


def is_prepared(folder: pathlib.Path) -> bool:
    """Whether a folder is there, and its files are those that were prepared.

    Raises:
        DamagedFileError: If its checksums.json is damaged.
        UserError: If something else is there, or a file has changed.
    """
    if not folder.exists():
        return False
    recorded = read_json(folder / CHECKSUMS, _AGAIN)
    if recorded is None:
        raise UserError(
            f"{folder}: is there, without the {CHECKSUMS} of `prepare`: give another "
            "--data_dir"
        )
    now, then = digests(folder), recorded.get("sha256")
    then = then if isinstance(then, dict) else {}
    changed = [name for name in now.keys() | then if now.get(name) != then.get(name)]
    if changed:
        raise UserError(f"{folder}: {min(changed)} is not what was prepared: {_AGAIN}")
    return True
