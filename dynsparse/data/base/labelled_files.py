"""Files in a folder per class, one example each, read when they are asked for."""

import os
import pathlib
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from dynsparse.data.base.sources import Record

Read = Callable[[pathlib.Path], dict[str, Any]]


class LabelledFiles:
    """Examples that are files `CLASS/NAME`; `label` is the number of the class.

    Millions of files take tens of bytes each.

    Args:
        folder: Of the folders of the classes.
        class_names: Names of the folders, in order of their labels.
        names: File names in their folder, as bytes.
        labels: Number of the class of each.
        read: Returns what else is in an example, from the path of its file.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        class_names: Sequence[str],
        names: np.ndarray,
        labels: Int[np.ndarray, "n"],
        read: Read,
    ):
        self.folder, self.class_names = folder, class_names
        self.names, self.labels = names, labels
        self._read = read

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Record:
        label = self.labels[index]
        name = os.fsdecode(self.names[index].item())
        path = self.folder / self.class_names[int(label)] / name
        return self._read(path) | dict(label=label)

    def take(self, chosen: np.ndarray) -> "LabelledFiles":
        """Returns a source of some of the examples.

        Args:
            chosen: Their numbers, or True for each that is taken.
        """
        names, labels = self.names[chosen], self.labels[chosen]
        return LabelledFiles(self.folder, self.class_names, names, labels, self._read)


def class_folders(folder: pathlib.Path, accepted: str) -> list[str]:
    """Returns the names of the folders in a folder, sorted: the classes.

    Names that begin with a dot or an underscore are no classes.

    Args:
        folder: That holds them.
        accepted: What it must be, for errors.

    Raises:
        ValueError: If there are none.
    """
    entries = (entry for entry in os.scandir(folder) if entry.is_dir())
    names = sorted(entry.name for entry in entries if entry.name[0] not in "._")
    if not names:
        raise ValueError(f"{folder}: has no folders of classes; accepted: {accepted}.")
    return names


def find_files(
    folder: pathlib.Path,
    class_names: Sequence[str],
    endings: Collection[str],
    read: Read,
) -> LabelledFiles:
    """Lists the files of each class, sorted by name.

    Args:
        folder: That holds the folders of the classes.
        class_names: Names of the classes.
        endings: Of the files that are examples, in small letters, such as ".wav".
        read: As in `LabelledFiles`.

    Raises:
        ValueError: If a class has no folder or no files, or a folder is no class.
    """
    found = class_folders(folder, "a folder for each class")
    if foreign := sorted(set(found).symmetric_difference(class_names)):
        what = "has a folder" if foreign[0] in found else "has no folder"
        raise ValueError(
            f"{folder}: {what} {foreign[0]!r}; accepted: the {len(class_names)} "
            f"classes {class_names[0]} to {class_names[-1]}."
        )
    names, labels = [], []
    for label, name in enumerate(class_names):
        listed = (entry.name for entry in os.scandir(folder / name) if entry.is_file())
        files = sorted(
            os.fsencode(file)
            for file in listed
            if not file.startswith(".")
            and pathlib.PurePath(file).suffix.lower() in endings
        )
        if not files:
            raise ValueError(
                f"{folder / name}: holds no files of {', '.join(sorted(endings))}."
            )
        names.append(np.array(files))
        labels.append(np.full(len(files), label, np.int32))
    return LabelledFiles(
        folder, class_names, np.concatenate(names), np.concatenate(labels), read
    )
