"""Files that are there whole or not at all."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def whole(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a file beside `path` to write, which takes its place at the end.

    Where the writing fails, on a full disk for one, `path` stays what it was.

    Args:
        path: To be written; its folder exists.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: pathlib.Path, content: Any):
    """Writes plain values as JSON, whole or not at all.

    Args:
        path: To be written; its folder exists.
        content: What JSON can hold.
    """
    with whole(path) as file:
        file.write_text(json.dumps(content, indent=2) + "\n")
