"""What a checkpoint holds, written beside it: names, shapes, digests."""

import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from dynsparse._internal.atomic_write import write_json

FILE = "digests.json"


class DamagedError(ValueError):
    """A file of a checkpoint is not what was written."""


class Kind(NamedTuple):
    """What an array is, but for its numbers.

    Attributes:
        shape: Of the array, or of the data of random keys.
        dtype: Its name; that of random keys says how they are drawn.
    """

    shape: tuple[int, ...]
    dtype: str


class Digests:
    """The digests of a checkpoint.

    Attributes:
        kinds: Of the arrays, by name.
    """

    def __init__(self, content: Mapping[str, Any]):
        self._content = content
        self.kinds = {
            name: Kind(tuple(array["shape"]), array["dtype"])
            for name, array in content["arrays"].items()
        }

    @classmethod
    def write(
        cls, folder: pathlib.Path, arrays: Mapping[str, np.ndarray], kinds: Any
    ) -> None:
        """Writes the digests of a whole checkpoint into its folder.

        Args:
            folder: Of the checkpoint.
            arrays: That were saved, by name.
            kinds: Theirs, by name.
        """
        content: dict[str, Any] = dict(
            arrays={
                name: dict(kinds[name]._asdict(), sha256=_of_array(array))
                for name, array in arrays.items()
            },
            files={
                str(path.relative_to(folder)): _of_file(path)
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            },
        )
        write_json(folder / FILE, content | dict(sha256=_of_content(content)))

    @classmethod
    def read(cls, folder: pathlib.Path) -> "Digests":
        """Reads the digests of a checkpoint.

        Raises:
            DamagedError: If they are missing or not what was written.
        """
        try:
            content = json.loads((folder / FILE).read_text())
            wanted = content.pop("sha256")
        except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
            raise DamagedError(f"{FILE} cannot be read") from error
        if wanted != _of_content(content):
            raise DamagedError(f"{FILE} is damaged")
        return cls(content)

    def check_files(self, folder: pathlib.Path):
        """Refuses a folder of which a file is not what was written.

        Raises:
            DamagedError: With the first such file.
        """
        for name, wanted in self._content["files"].items():
            try:
                found = _of_file(folder / name)
            except OSError as error:
                raise DamagedError(f"{name} cannot be read") from error
            if found != wanted:
                raise DamagedError(f"{name} is damaged")

    def check_arrays(self, arrays: Mapping[str, np.ndarray]):
        """Refuses arrays that are not those that were saved.

        Raises:
            DamagedError: With the first such array.
        """
        for name, array in self._content["arrays"].items():
            if name not in arrays or _of_array(arrays[name]) != array["sha256"]:
                raise DamagedError(f"the array {name} is not what was saved")


def _of_array(array: np.ndarray) -> str:
    content: Any = np.ascontiguousarray(array).reshape(-1).view("u1")
    return hashlib.sha256(content).hexdigest()


def _of_file(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_content(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
