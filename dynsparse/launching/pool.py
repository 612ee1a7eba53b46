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
import dataclasses
import errno
import math
import os
import pathlib
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
_TIMED_OUT = 124  # exit status of `timeout`
_PAUSE = 0.1  # seconds between two looks at a process
WORKER = (sys.executable, "-m", "dynsparse", "trial")
_LONGEST = 300  # characters of a complaint


@dataclasses.dataclass
class Pool:
    """Runs bundles of trials, each in a thread that watches the bundle's process.

    Attributes:
        workdir: Folder of the sweep.
        command: Goes on with the sweep.
        places: Where trials run, one at a time in each.
        limit: Seconds that a trial may take; None for as long as it wants.
        table: Shows what happens.
        stop: Whether to stop. Trials then save their states; a second time kills them.
    """

    workdir: pathlib.Path
    command: str
    places: list[Place]
    limit: float | None
    table: LiveTable
    stop: StopSignal

    def __post_init__(self):
        self._threads = futures.ThreadPoolExecutor(len(self.places))
        self._waiting: list[futures.Future] = []

    def run(self, bundles: Sequence[Bundle]):
        """Run trials until all are finished or have failed, or a stop is asked for.

        Raises:
            OSError: If a trial, or this process, finds the disk full.
        """
        with self._threads:
            for bundle in bundles:
                self._submit(bundle, 1)
            while self._waiting:
                self._waiting.pop(0).result()

    def _submit(self, bundle: Bundle, attempt: int):
        self._waiting.append(self._threads.submit(self._attempt, bundle, attempt))

    def _attempt(self, bundle: Bundle, attempt: int):
        place = self.places.pop()  # there are as many as threads
        try:
            if self.stop.times:
                return
            folders = [trial.write(self.workdir, self.command) for trial in bundle]
            for trial in bundle:
                self.table.started(trial.name)
            limit = self.limit and self.limit * len(bundle)
            status, why = run_process(folders, place, limit, self.stop)
            refused = status == MISTAKE and len(bundle) == 1
            for trial in bundle:
                self._settle(trial, ATTEMPTS if refused else attempt, status, why)
        except BaseException:
            self.stop.times += 1
            raise
        finally:
            self.places.append(place)

    def _settle(self, trial: Trial, attempt: int, status: int, why: str):
        """Note how a process left a trial, and try it again where that may help."""
        try:
            finished = read_result(self.workdir / trial.name) is not None
        except DamagedFileError as error:
            finished, why = False, str(error)
        if finished:
            self.table.ended(trial.name, "finished")
        elif self.stop.times:
            self.table.ended(trial.name, "stopped")
        elif status == FULL_DISK:
            raise OSError(errno.ENOSPC, why, str(self.workdir))
        elif status != STOPPED and attempt == ATTEMPTS:
            self.table.ended(trial.name, "failed", why)
        else:  # one that another has stopped, such as a cluster, is not dead
            self.table.ended(trial.name, "died", why)
            self._submit((trial,), attempt + (status != STOPPED))


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
    if place.submit:  # the limit starts with the job, which may wait
        limited = ("timeout", f"--kill-after={GRACE:g}", f"{limit:g}")
        job = shlex.join(["exec", *limited, *words])
        words = [*place.submit, f"--output={log}", f"--wrap={job}"]
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
    end = math.inf if place.submit or limit is None else time.monotonic() + limit
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
    if late or status == _TIMED_OUT:
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
    last = log.read_text(errors="replace").rstrip().rpartition("\n")[2].strip()
    return last if len(last) <= _LONGEST else f"{last[:_LONGEST]} ..."
