"""One process that runs trials, from its start to its end."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence

from dynsparse._internal.atomic_write import DamagedFileError
from dynsparse.launching.errors import MISTAKE, UserError
from dynsparse.launching.sweep.bundle import Bundle
from dynsparse.launching.sweep.source import ROOT
from dynsparse.launching.sweep.trial import Trial
from dynsparse.reports import read_result

ATTEMPTS = 2  # of a trial that dies
FULL_DISK = os.EX_IOERR  # exit status of a trial that found no space to write to
STOPPED = 130  # exit status of a trial that was asked to stop
_UNFILTERED = {"JAX_TRACEBACK_FILTERING": "off"}  # else a note on it comes last
_LAUNCHER = "DYNSPARSE_LAUNCHER"  # variable that holds the id of its process
_LEAST_SPACE = 2**16  # bytes without which no trial can go on
_LONGEST = 300  # characters of a complaint
_LAST = 4096  # bytes of a log that hold its last line


class Attempt:
    """A process that runs trials, at the head of a process group of its own.

    Signals of the terminal do not reach the group; its output goes to log.txt of the
    first trial, after that of the attempts before.

    Args:
        bundle: What to run: one trial, or several as one program.
        folders: Of the trials, with their trial.json.
        number: Of the attempt, from 1.
        environment: Beside that of this process.
        limit: Seconds that a trial may take; None for as long as it wants.

    Raises:
        OSError: If the log cannot be written or the process cannot start.
    """

    def __init__(
        self,
        bundle: Bundle,
        folders: Sequence[pathlib.Path],
        *,
        number: int,
        environment: Mapping[str, str],
        limit: float | None,
    ):
        self.bundle = bundle
        self.number = number
        self.environment = environment
        self._folders = folders
        self._limit = None if limit is None else limit * len(bundle)
        self._late = False
        self._started = time.monotonic()
        asked = [f"--trial={folder}" for folder in folders]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                (sys.executable, str(ROOT / "launch.py"), *asked),
                env={
                    **_UNFILTERED,
                    **os.environ,
                    **environment,
                    _LAUNCHER: str(os.getpid()),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def _log(self) -> pathlib.Path:
        return self._folders[0] / "log.txt"

    @property
    def seconds(self) -> float:
        """Since its start."""
        return time.monotonic() - self._started

    def poll(self) -> int | None:
        """Returns the exit status, or None while it runs; kills it past its limit."""
        if self._limit is not None and self.seconds > self._limit:
            self._late = self._late or self._process.poll() is None
            self.kill()
        status = self._process.poll()
        if status is not None:
            self.kill()  # what the process leaves running
        return status

    def stop(self):
        """Asks it to stop where nothing is lost: training runs save their states."""
        if self._process.poll() is None:
            self._process.terminate()

    def kill(self):
        """Kills the whole group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def outcomes(self) -> list[tuple[Trial, str | None]]:
        """Each trial, and why it left no result, on one line; None where it left one.

        Waits for the process to end.
        """
        why = self._complaint()
        return [
            (trial, _missing(folder, why))
            for trial, folder in zip(self.bundle, self._folders, strict=True)
        ]

    def _complaint(self) -> str:
        status = self._process.wait()
        if self._late:
            return f"killed past its limit of {self._limit:g} s"
        if status < 0:
            return f"killed by {signal.Signals(-status).name}"
        if status == FULL_DISK:
            return "no space left on the device"
        return self._last_line() or f"ended with status {status} and no result"

    @property
    def found_no_space(self) -> bool:
        """Whether it ended since the disk is full, as far as can be told.

        A library may hide what it met: a disk that is full now was full then.
        """
        full = shutil.disk_usage(self._folders[0]).free < _LEAST_SPACE
        return full or self._process.poll() == FULL_DISK

    @property
    def is_final(self) -> bool:
        """Whether another attempt could do no better.

        It was the last one, or this trial alone was refused as a mistake.
        """
        refused = len(self.bundle) == 1 and self._process.poll() == MISTAKE
        return refused or self.number == ATTEMPTS

    def _last_line(self) -> str:
        with self._log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST))
            lines = log.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return last if len(last) <= _LONGEST else f"{last[:_LONGEST]} ..."


def _missing(folder: pathlib.Path, why: str) -> str | None:
    """Why there is no result of a trial, or None if there is one."""
    try:
        return why if read_result(folder) is None else None
    except DamagedFileError as error:
        return str(error)


def stop_with_launcher():
    """Stops this process, gently, when the one that started it is gone.

    It may have gone before this is called. SIGUSR2, by which Slurm announces the end of
    a job, is for that one alone.

    Raises:
        UserError: If none has started it: the folder of a trial names a file to run,
            which its launcher alone has written there.
    """
    if _LAUNCHER not in os.environ:
        raise UserError("--trial is for the processes of a sweep; start one: --sweep")
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    parent = int(os.environ[_LAUNCHER])

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
