"""Checkpoints of a run, through Orbax.

Invariants:
- a checkpoint appears under its step when it is whole, so that a kill leaves the one
  before;
- restored arrays have the digests of the saved ones;
- `Checkpoints` removes only folders that it has made.
"""

import concurrent.futures
import glob
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from orbax import checkpoint as ocp

from dynsparse._internal.atomic_write import (
    DamagedFileError,
    as_disk_error,
    require_space,
    write_bytes,
)
from dynsparse.training.folder.arrays import (
    FILE,
    DamagedError,
    Digests,
    Kind,
    flatten,
    kinds_of,
    unflatten,
)
from dynsparse.training.step import State

_STATE = "state"
_ROWS = "metrics.jsonl"
_UNFINISHED = ".unfinished"  # what is being written
_REMOVED = ".removed"  # what is being removed
_KEPT = 2
# Bytes that a checkpoint takes beside its numbers: once and for each array, in a common
# file or in files of its own.
_ONCE, _EACH, _EACH_ALONE = 2**17, 2**10, 20 * 2**10


class CheckpointError(DamagedFileError):
    """No checkpoint of a folder can be used here.

    >>> issubclass(training.CheckpointError, ValueError)
    True
    """


class Checkpoint(NamedTuple):
    """State of a run after some step.

    Attributes:
        state: State of the training.
        rows: Content of metrics.jsonl up to that step.
        passed_over: Reasons why newer checkpoints cannot be used, newest first.
    """

    state: State
    rows: bytes
    passed_over: list[str]


class Checkpoints:
    """Checkpoints of one run, saved in the background; the newest two are kept.

    Args:
        directory: Folder of the checkpoints.
        cleans: Whether to remove what a killed process left unfinished, as only the
            process that holds the run may.

    Raises:
        CheckpointError: If something else is in the place of the directory.
    """

    def __init__(self, directory: pathlib.Path, *, cleans: bool = False):
        self._directory = directory.absolute()
        if self._directory.exists() and not self._directory.is_dir():
            raise CheckpointError(f"{directory} is no folder; move it away.")
        self._whole: list[int] = []  # steps that were saved or restored here
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._saving: concurrent.futures.Future | None = None
        if cleans:
            for name in (_UNFINISHED, _REMOVED):
                shutil.rmtree(self._directory / name, ignore_errors=True)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_):
        with self._thread:  # which shuts down, whatever happens
            self._wait()

    @property
    def latest(self) -> int | None:
        """Step of the newest checkpoint, or None."""
        self._wait()
        return max(self._steps(), default=None)

    def save(self, state: State, rows: bytes = b""):
        """Saves `state` under its step, unless that was saved or restored here.

        Args:
            state: State of the training.
            rows: Content of metrics.jsonl up to there.

        Raises:
            OSError: If an earlier checkpoint could not be saved.
        """
        step = int(state["step"])
        self._wait()
        if step not in self._whole:
            arrays, kinds = flatten(state), kinds_of(state)
            self._saving = self._thread.submit(self._save, step, arrays, kinds, rows)

    def restore(self, like: State, *, newest_only: bool = False) -> Checkpoint:
        """Returns the newest checkpoint that is whole.

        Args:
            like: State of the same shapes, such as the one before the first step.
            newest_only: Whether to refuse a run whose newest checkpoint is damaged.

        Raises:
            CheckpointError: If none is whole, or it holds other names or shapes.
        """
        self._wait()
        passed_over: list[str] = []
        for step in sorted(self._steps(), reverse=True):
            try:
                state, rows = self._restore(step, like)
            except DamagedError as error:
                passed_over.append(f"checkpoint {step} of {self._directory}: {error}")
                if newest_only:
                    break
                continue
            self._whole.append(step)
            return Checkpoint(state, rows, passed_over)
        raise CheckpointError(
            f"{'; '.join(passed_over)}; nothing was changed: put back what was there, "
            "or choose another folder."
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays of the newest checkpoint by name, whatever the model.

        Raises:
            CheckpointError: If there is no checkpoint, or it is damaged.
        """
        step = self.latest
        if step is None:
            raise CheckpointError(f"{self._directory} holds no checkpoint.")
        folder = self._directory / str(step)
        try:
            return self._read(folder, Digests.read(folder))[1]
        except DamagedError as error:
            raise CheckpointError(
                f"{folder}: {error}; put back what was there."
            ) from error

    def _restore(self, step: int, like: State) -> tuple[State, bytes]:
        folder = self._directory / str(step)
        digests = Digests.read(folder)
        self._expect(kinds_of(like), digests.kinds)
        rows, arrays = self._read(folder, digests)
        return unflatten(like, arrays), rows

    def _read(
        self, folder: pathlib.Path, digests: Digests
    ) -> tuple[bytes, dict[str, np.ndarray]]:
        digests.check_files(folder)
        rows = (folder / _ROWS).read_bytes()
        saved = {name for name, kind in digests.kinds.items() if 0 not in kind.shape}
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as orbax:
            try:
                found = orbax.restore(folder / _STATE)
            except Exception as error:  # of many kinds; the files are what was written
                raise DamagedError(f"{_STATE} cannot be read: {error}") from error
        arrays = {
            name: np.asarray(found[name])
            if name in saved
            else np.empty(kind.shape, kind.dtype)
            for name, kind in digests.kinds.items()
            if name in found or name not in saved
        }
        digests.check_arrays(arrays)
        return rows, arrays

    def _expect(self, wanted: Mapping[str, Kind], found: Mapping[str, Kind]):
        for name in sorted({*wanted, *found}):
            here, there = wanted.get(name), found.get(name)
            if here == there:
                continue
            what = "shape"
            if here and there and here.shape == there.shape:
                what = "dtype"
            told = [getattr(kind, what) if kind else "none" for kind in (there, here)]
            raise CheckpointError(
                f"{self._directory} is of another model or version of the library: "
                f"{name} has {what} {told[0]} there, {told[1]} here; choose another "
                "folder."
            )

    def _wait(self):
        """Waits for the save in progress, and raises what went wrong."""
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.result()

    def _save(
        self,
        step: int,
        arrays: Mapping[str, np.ndarray],
        kinds: Mapping[str, Kind],
        rows: bytes,
    ):
        folder = self._directory / _UNFINISHED
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            # What is empty is known by its shape; Orbax takes no such arrays.
            filled = {name: array for name, array in arrays.items() if array.size}
            # Orbax finds the parts of OCDBT by a glob, which a bracket misleads.
            ocdbt = not glob.has_magic(str(folder))
            numbers = sum(array.nbytes for array in filled.values())
            each = _EACH if ocdbt else _EACH_ALONE
            require_space(folder, numbers + len(rows) + each * len(filled) + _ONCE)
            handler = ocp.PyTreeCheckpointHandler(use_ocdbt=ocdbt, use_zarr3=True)
            with ocp.Checkpointer(handler) as orbax:
                orbax.save(folder / _STATE, filled)
            write_bytes(folder / _ROWS, rows)
            Digests.write(folder, arrays, kinds)
            self._put(folder, step)
        except Exception as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise as_disk_error(error, self._directory) from error
        self._whole.append(step)
        known = sorted(self._whole)[-_KEPT:]
        others = sorted({*self._steps()} - {*self._whole})
        kept = known + others[len(others) - (_KEPT - len(known)) :]
        for old in {*self._steps()} - {*kept}:
            self._remove(self._directory / str(old))

    def _put(self, folder: pathlib.Path, step: int):
        """Moves a whole checkpoint to its place, after what stands there has moved."""
        place = self._directory / str(step)
        if _is_checkpoint(place):
            self._remove(place)
        elif place.exists():
            place.rename(_free(place))
        folder.rename(place)

    def _remove(self, place: pathlib.Path):
        removed = self._directory / _REMOVED
        shutil.rmtree(removed, ignore_errors=True)
        place.rename(removed)
        shutil.rmtree(removed, ignore_errors=True)

    def _steps(self) -> list[int]:
        """Steps with a checkpoint, whole or not."""
        if not self._directory.is_dir():
            return []
        return [
            int(path.name)
            for path in self._directory.iterdir()
            if path.name.isascii() and path.name.isdecimal()
            if str(int(path.name)) == path.name and _is_checkpoint(path)
        ]


def has_checkpoint(workdir: pathlib.Path) -> bool:
    """Whether a run would resume from a checkpoint.

    >>> import pathlib
    >>> training.has_checkpoint(pathlib.Path("no/such/run"))
    False

    Args:
        workdir: Folder of the run.
    """
    try:
        with Checkpoints(workdir / "checkpoints") as checkpoints:
            return checkpoints.latest is not None
    except (CheckpointError, OSError):  # such as a name that is too long
        return False


def _is_checkpoint(path: pathlib.Path) -> bool:
    return (path / FILE).exists() or (path / _STATE).exists()


def _free(place: pathlib.Path) -> pathlib.Path:
    names = (place.with_name(f"{place.name}.other{n or ''}") for n in range(10**6))
    return next(name for name in names if not os.path.lexists(name))
