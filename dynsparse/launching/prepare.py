"""A known data set, brought into the layout that its source reads."""

import argparse
import json
import lzma
import pathlib
import shutil
import tarfile
import zipfile
import zlib

from rich.console import Console
from rich.progress import Progress

from dynsparse.launching.arguments import UserError, spoken
from dynsparse.launching.known_data import folder as folders
from dynsparse.launching.known_data.checks import check_digest, check_examples
from dynsparse.launching.known_data.pieces import read_pieces
from dynsparse.launching.known_data.table import KNOWN, KnownData

_HUB = "hf"
_DAMAGED = (
    folders.TruncatedError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
)


def add_verbs(verbs):
    """Adds the parser of `prepare`."""
    text = "bring a known data set into the layout that its source reads"
    rows = (
        f"  {name:<17} {it.archive}\n{'':20}{it.home}" for name, it in KNOWN.items()
    )
    parser = verbs.add_parser(
        "prepare",
        help=text,
        description=f"{text.capitalize()}: the folder DIR/NAME. Published digests and "
        "counts are checked, its own digests recorded. The same command goes on where "
        "it stopped, and checks a folder that is there. Training never downloads.",
        epilog="\n".join(["NAME:", *rows]),
    )
    add = parser.add_argument
    add("name", choices=sorted(KNOWN), metavar="NAME", help="a name below")
    add(
        "--data_dir",
        type=pathlib.Path,
        metavar="DIR",
        required=True,
        help="where the folder NAME is made",
    )
    add(
        "--source",
        metavar="PATH|hf",
        help="the archive, or a folder of its files; or hf, to download from Hugging "
        'Face (pip install "dynsparse[hf]")',
    )
    parser.set_defaults(do=prepare)


def prepare(values: argparse.Namespace, console: Console) -> int:
    """Brings a data set to its place, and prints how it is used.

    Raises:
        DamagedFileError: If checksums.json of the folder is damaged.
        UserError: If there is no source, or it is not the whole data set.
    """
    known, folder = KNOWN[values.name], values.data_dir / values.name
    if folders.is_prepared(folder):
        console.print(f"{folder} is whole")
    else:
        partial = folder.with_name(f"{folder.name}.partial")
        source = _require_source(values.name, known, values.source)
        folders.begin(partial, source)
        try:
            _fill(partial, known, source)
        except KeyboardInterrupt:
            console.print("stopped; the same command goes on")
            return 130
        try:
            check_examples(partial, known)
        except UserError:
            shutil.rmtree(partial)  # nothing to go on with
            raise
        folders.finish(partial, folder, dict(name=values.name, source=source))
        console.print(f"wrote {folder}")
    section = json.dumps(dict(known.source, path=str(folder / known.read)))
    command = [
        "run",
        f"--config={known.config or 'CONFIG'}",
        f"--config.data={section}",
    ]
    console.print(f"train    {spoken(command)}")
    return 0


def _require_source(name: str, known: KnownData, source: str | None) -> str:
    get = f"get {known.archive} at {known.home} and give --source=PATH"
    if source is None:
        also = " or --source=hf" if known.hub else ""
        raise UserError(f"prepare: {name} is not there yet: {get}{also}")
    if source == _HUB and known.hub is None:
        told = f"Hugging Face has no {name} that is read without running code"
        raise UserError(f"prepare: {told}: {get}")
    if source != _HUB and not pathlib.Path(source).exists():
        raise UserError(f"--source: no such file or folder: {source!r}; {get}")
    return source


def _fill(partial: pathlib.Path, known: KnownData, source: str):
    """Writes what is used of a source into a folder.

    Raises:
        UserError: If the source is damaged, not the published one, or another.
    """
    path, terminal = pathlib.Path(source), Console(stderr=True)
    if path.is_file():
        check_digest(path, path.name, known)
    found = False
    with Progress(console=terminal, disable=not terminal.is_terminal) as progress:
        hub = known.hub if source == _HUB else None
        pieces = hub() if hub else read_pieces(path, progress)
        try:
            for piece in pieces:
                place = known.place(piece.name)
                if place is not None:
                    file, found = folders.put(partial, place, piece), True
                    with folders.kept_if_right(file):
                        check_digest(file, piece.name, known)
        except (*_DAMAGED, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the disk; gzip's have no number
            told = f"is truncated or damaged ({error})"
            raise UserError(
                f"{source}: {told}; get it again at {known.home}"
            ) from error
    if not found:
        raise UserError(
            f"{source}: has no file of {known.archive} in it; see {known.home}"
        )
    if known.class_names:
        names = "".join(f"{name}\n" for name in known.class_names)
        (partial / "class_names.txt").write_text(names)
