"""Paths of data sets: there, and of the right kind."""

import pathlib


def existing_file(path: str, accepted: str) -> pathlib.Path:
    """Returns the path of a file that a key `path` names.

    Args:
        path: Of the file.
        accepted: What the file must be, for errors.

    Raises:
        ValueError: If it is empty, or there is no such file.
    """
    if not path:
        raise ValueError(f"data: path is empty; give --config.data.path={accepted}")
    found = pathlib.Path(path)
    if not found.is_file():
        what = "is a folder" if found.is_dir() else "does not exist"
        raise ValueError(f"data: path: {path!r} {what}; accepted: {accepted}.")
    return found


def existing_folder(path: str, accepted: str) -> pathlib.Path:
    """Returns the path of a folder that a key `path` names.

    Args:
        path: Of the folder.
        accepted: What the folder must hold, for errors.

    Raises:
        ValueError: If it is empty, or there is no such folder.
    """
    if not path:
        raise ValueError(f"data: path is empty; accepted: {accepted}.")
    found = pathlib.Path(path)
    if not found.is_dir():
        what = "is no folder" if found.exists() else "does not exist"
        raise ValueError(f"data: path: {path!r} {what}; accepted: {accepted}.")
    return found
