"""One process that runs a trial, from its start to its end."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping

from dynsparse.launching.sweep.source import ROOT
from dynsparse.launching.sweep.trial import Trial

FULL_DISK = os.EX_IOERR  # exit status of a trial that found no space to write to
STOPPED = 130  # exit status of a trial that was asked to stop
_LEAST_SPACE = 2**16  # bytes without which no trial can go on
_LAST = 4096  # bytes of a log that hold its last line


class Attempt:
    """A process that runs a trial, at the head of a process group of its own.

    Signals of the terminal do not reach the group; its output goes to log.txt, after
    that of the attempts before.

    Args:
        trial: What to run.
        folder: Of the trial, with its trial.json.
        number: Of the attempt, from 1.
        environment: Beside that of this process.
        limit: Seconds that it may take; None for as long as it wants.

    Raises:
        OSError: If the log cannot be written or the process cannot start.
    """

    def __init__(
        self,
        trial: Trial,
        folder: pathlib.Path,
        *,
        number: int,
        environment: Mapping[str, str],
        limit: float | None,
    ):
        self.trial = trial
        self.number = number
        self.environment = environment
        self._folder = folder
        self._limit = limit
        self._late = False
        self._started = time.monotonic()
        with (folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                (sys.executable, str(ROOT / "launch.py"), f"--trial={folder}"),
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

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
        """Asks it to stop where nothing is lost: a training run saves its state."""
        if self._process.poll() is None:
            self._process.terminate()

    def kill(self):
        """Kills the whole group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def complaint(self) -> str | None:
        """Why it ended without a result, on one line; None if it left one."""
        status = self._process.wait()
        if status == 0 and (self._folder / "result.json").is_file():
            return None
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
        full = shutil.disk_usage(self._folder).free < _LEAST_SPACE
        return full or self._process.poll() == FULL_DISK

    def _last_line(self) -> str:
        with (self._folder / "log.txt").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST))
            lines = log.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def stop_with_launcher():
    """Stops this process, gently, when the one that started it is gone.

    SIGUSR2, by which Slurm announces the end of a job, is for that one alone.
    """
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
