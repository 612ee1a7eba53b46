"""Processes of trials side by side: none stops the others.

Nor does a trial slow down the next one by what it leaves in memory or in compiled
programs: late in a process that had timed ten networks, two programs with the same
instructions took times that differed by 14 %.

Invariants:
- a trial has one process at most, and a slot one process;
- a trial that dies goes to the end of the queue, once, alone, and resumes from what it
  left; one that was refused as a mistake does not;
- however `run` ends, no process is left.
"""

import contextlib
import errno
import math
import os
import pathlib
import queue
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent import futures

from dynsparse._internal.atomic_write import DamagedFileError
from dynsparse._internal.stop_signal import StopSignal
from dynsparse.launching.arguments import MISTAKE
from dynsparse.launching.live_table import LiveTable
from dynsparse.launching.places import Place
from dynsparse.launching.shipped import search_path
from dynsparse.launching.trial import LAUNCHER, STOPPED, Bundle, Trial
from dynsparse.reports import read_result

ATTEMPTS = 2  # of a trial that dies
FULL_DISK = os.EX_IOERR  # exit status of a trial that found no space to write to
GRACE = 60.0  # seconds that a trial has to save its state when it is asked to stop
_PAUSE = 0.1  # seconds between two looks at a process
WORKER = (sys.executable, "-m", "dynsparse", "trial")
_LONGEST, _LAST = 300, 4096  # characters of a complaint, bytes of a log that hold it


class Pool:
    """Runs bundles of trials, each in a thread that watches the bundle's process.

    Args:
        workdir: Folder of the sweep.
        command: Goes on with the sweep.
        places: Where trials run, one at a time in each.
        limit: Seconds that a trial may take; None for as long as it wants.
        table: Shows what happens.
        stop: Whether to stop. Trials then save their states; a second time kills them.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        command: str,
        *,
        places: Sequence[Place],
        limit: float | None,
        table: LiveTable,
        stop: StopSignal,
    ):
        self._workdir, self._command = workdir, command
        self._limit, self._table, self._stop = limit, table, stop
        self._free: queue.SimpleQueue[Place] = queue.SimpleQueue()
        for place in places:
            self._free.put(place)
        self._threads = futures.ThreadPoolExecutor(len(places))
        self._waiting: list[futures.Future] = []

    def run(self, bundles: Sequence[Bundle]):
        """Run trials until all are finished or have failed, or a stop is asked for.

        Raises:
            OSError: If a trial, or this process, finds the disk full.
        """
        for bundle in bundles:
            self._submit(bundle, 1)
        with self._threads:
            while self._waiting:
                self._waiting.pop(0).result()

    def _submit(self, bundle: Bundle, attempt: int):
        self._waiting.append(self._threads.submit(self._attempt, bundle, attempt))

    def _attempt(self, bundle: Bundle, attempt: int):
        place = self._free.get()
        try:
            if self._stop.times:
                return
            folders = [trial.write(self._workdir, self._command) for trial in bundle]
            for trial in bundle:
                self._table.started(trial.name)
            limit = None if self._limit is None else self._limit * len(bundle)
            status, why = run_process(folders, place, limit, self._stop)
            for trial in bundle:
                self._settle(trial, len(bundle), attempt, status, why)
        except BaseException:
            self._stop.times += 1
            raise
        finally:
            self._free.put(place)

    def _settle(self, trial: Trial, together: int, attempt: int, status: int, why: str):
        """Note how a process left a trial, and try it again where that may help."""
        try:
            finished = read_result(self._workdir / trial.name) is not None
        except DamagedFileError as error:
            finished, why = False, str(error)
        refused = status == MISTAKE and together == 1
        if finished:
            self._table.ended(trial.name, "finished")
        elif self._stop.times:
            self._table.ended(trial.name, "stopped")
        elif status == FULL_DISK:
            raise OSError(errno.ENOSPC, why, str(self._workdir))
        elif status == STOPPED:  # by another than us, such as a cluster
            self._table.ended(trial.name, "died", why)
            self._submit((trial,), attempt)
        elif refused or attempt == ATTEMPTS:
            self._table.ended(trial.name, "failed", why)
        else:
            self._table.ended(trial.name, "died", why)
            self._submit((trial,), attempt + 1)


def run_process(
    folders: Sequence[pathlib.Path], place: Place, limit: float | None, stop: StopSignal
) -> tuple[int, str]:
    """Run trials in a process that leads a process group, which Ctrl-C does not reach.

    What the process prints is added to log.txt of the first trial.

    Returns:
        The exit status, and on one line why a result may be missing.
    """
    log = folders[0] / "log.txt"
    words = [*WORKER, *map(str, folders)]
    if place.submit:  # Slurm has been told of the limit
        job = f"exec {shlex.join(words)}"
        words, limit = [*place.submit, f"--output={log}", f"--wrap={job}"], None
    environment = {
        "JAX_TRACEBACK_FILTERING": "off",  # else a note on it comes last
        **os.environ,
        **search_path(),
        **place.environment,
        LAUNCHER: "slurm" if place.submit else str(os.getpid()),
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            words,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    end = time.monotonic() + (limit or math.inf)
    stopping = late = False
    while (status := process.poll()) is None:
        if stop.times and not stopping:
            stopping, end = True, time.monotonic() + GRACE
            if place.cancel:
                subprocess.run(place.cancel)
            process.terminate()
        if stop.times > 1 or time.monotonic() > end:
            late = not stopping
            _kill_group(process)
        time.sleep(_PAUSE)
    _kill_group(process)  # what the process leaves running
    if late:
        return status, f"killed past its limit of {limit:g} s"
    if status < 0:
        return status, f"killed by {signal.Signals(-status).name}"
    if status == FULL_DISK:
        return status, "no space left on the device"
    return status, _last_line(log) or f"ended with status {status} and no result"


def _kill_group(process: subprocess.Popen):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _last_line(log: pathlib.Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST))
        lines = file.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return last if len(last) <= _LONGEST else f"{last[:_LONGEST]} ..."
