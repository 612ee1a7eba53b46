"""Files of a folder or an archive, one after the other."""

import pathlib
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

from rich.progress import Progress


class Piece(NamedTuple):
    """A file, wherever it is.

    Attributes:
        name: Its path there, with slashes.
        size: In bytes.
        open: Opens it for reading.
    """

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def read_pieces(path: pathlib.Path, progress: Progress) -> Iterator[Piece]:
    """Gives the files of a folder, an archive (.zip, .tar, also compressed), or one.

    Each is to be read before the next.

    Args:
        path: Of the folder, the archive or the file.
        progress: Shows how much of it is read.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        for file in progress.track(files, description=path.name):
            yield _file(file, file.relative_to(path).as_posix())
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in progress.track(archive.infolist(), description=path.name):
                if not member.is_dir():
                    open_it = lambda member=member: archive.open(member)
                    yield Piece(member.filename, member.file_size, open_it)
    elif tarfile.is_tarfile(path):
        with (
            progress.open(path, "rb", description=path.name) as packed,
            tarfile.open(fileobj=packed, mode="r|*") as archive,
        ):
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    yield Piece(member.name, member.size, lambda c=content: c)
    else:
        yield _file(path, path.name)


def _file(file: pathlib.Path, name: str) -> Piece:
    return Piece(name, file.stat().st_size, lambda: file.open("rb"))
