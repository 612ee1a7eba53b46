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
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent import futures

from dynsparse._internal.atomic_write import DamagedFileError
from dynsparse._internal.stop_signal import StopSignal
from dynsparse.launching.errors import MISTAKE, UserError
from dynsparse.launching.sweep.live_table import LiveTable
from dynsparse.launching.sweep.slots import search_path
from dynsparse.launching.sweep.trial import Bundle
from dynsparse.reports import read_result

ATTEMPTS = 2  # of a trial that dies
FULL_DISK = os.EX_IOERR  # exit status of a trial that found no space to write to
STOPPED = 130  # exit status of a trial that was asked to stop
GRACE = 60.0  # seconds that a trial has to save its state when it is asked to stop
_PAUSE = 0.1  # seconds between two looks at a process
WORKER = (sys.executable, "-m", "dynsparse", "trial")
_LAUNCHER = "DYNSPARSE_LAUNCHER"  # variable that holds the id of its process
_LONGEST, _LAST = 300, 4096  # characters of a complaint, bytes of a log that hold it


class Pool:
    """Runs bundles of trials, each in a thread that watches the bundle's process.

    Args:
        workdir: Folder of the sweep.
        command: Goes on with the sweep.
        slots: Environment of the process in each slot, beside that of this one.
        limit: Seconds that a trial may take; None for as long as it wants.
        table: Shows what happens.
        stop: Whether to stop. Trials then save their states; a second time kills them.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        command: str,
        *,
        slots: Sequence[Mapping[str, str]],
        limit: float | None,
        table: LiveTable,
        stop: StopSignal,
    ):
        self._workdir, self._command = workdir, command
        self._limit, self._table, self._stop = limit, table, stop
        self._free: queue.SimpleQueue[Mapping[str, str]] = queue.SimpleQueue()
        for slot in slots:
            self._free.put(slot)
        self._threads = futures.ThreadPoolExecutor(len(slots))
        self._waiting: dict[futures.Future, tuple[Bundle, int]] = {}
        self._running: list[Bundle] = []

    def run(self, bundles: Sequence[Bundle]):
        """Run trials until all are finished or have failed, or a stop is asked for.

        Raises:
            OSError: If a trial, or this process, finds the disk full.
        """
        for bundle in bundles:
            self._submit(bundle, 1)
        with self._threads:
            try:
                while self._waiting:
                    ended, _ = futures.wait(
                        self._waiting, _PAUSE, futures.FIRST_COMPLETED
                    )
                    for future in ended:
                        bundle, number = self._waiting.pop(future)
                        if (outcome := future.result()) is not None:
                            self._settle(bundle, number, *outcome)
            except BaseException:
                self._stop.times += 1
                raise

    def end(self):
        """Stop what runs, from a signal handler; return when nothing runs."""
        self._stop.times += 1
        while self._running:
            time.sleep(_PAUSE)

    def _submit(self, bundle: Bundle, number: int):
        self._waiting[self._threads.submit(self._attempt, bundle)] = bundle, number

    def _attempt(self, bundle: Bundle) -> tuple[int, str] | None:
        """Exit status, and why a result may be missing; None where nothing began."""
        slot = self._free.get()
        self._running.append(bundle)
        try:
            if self._stop.times:
                return None
            folders = [trial.write(self._workdir, self._command) for trial in bundle]
            for trial in bundle:
                self._table.started(trial, together=len(bundle))
            limit = None if self._limit is None else self._limit * len(bundle)
            return run_process(folders, slot, limit, self._stop)
        finally:
            self._free.put(slot)
            self._running.remove(bundle)

    def _settle(self, bundle: Bundle, number: int, status: int, why: str):
        refused = status == MISTAKE and len(bundle) == 1
        for trial in bundle:
            complaint = why
            try:
                if read_result(self._workdir / trial.name) is not None:
                    self._table.ended(trial, "finished")
                    continue
            except DamagedFileError as error:
                complaint = str(error)
            if self._stop.times:
                self._table.ended(trial, "stopped")
            elif status == FULL_DISK:
                raise OSError(errno.ENOSPC, complaint, str(self._workdir))
            elif refused or number == ATTEMPTS:
                self._table.ended(trial, "failed", complaint)
            else:
                self._table.ended(trial, "died", complaint)
                self._submit((trial,), number + 1)


def run_process(
    folders: Sequence[pathlib.Path],
    environment: Mapping[str, str],
    limit: float | None,
    stop: StopSignal,
) -> tuple[int, str]:
    """Run trials in a process that leads a process group, which Ctrl-C does not reach.

    What the process prints is added to log.txt of the first trial.

    Returns:
        The exit status, and on one line why a result may be missing.
    """
    log = folders[0] / "log.txt"
    environment = {
        "JAX_TRACEBACK_FILTERING": "off",  # else a note on it comes last
        **os.environ,
        **search_path(),
        **environment,
        _LAUNCHER: str(os.getpid()),
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*WORKER, *map(str, folders)],
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


def stop_with_launcher():
    """Stop this process, gently, when the launcher that started it is gone.

    SIGUSR2, by which Slurm announces the end of a job, is for the launcher alone.

    Raises:
        UserError: If no launcher has started it: the folder of a trial names a file to
            run, which its launcher alone has written there.
    """
    if _LAUNCHER not in os.environ:
        raise UserError("trial is for the processes of a sweep, which sweep starts")
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    parent = int(os.environ[_LAUNCHER])

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _kill_group(process: subprocess.Popen):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _last_line(log: pathlib.Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST))
        lines = file.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return last if len(last) <= _LONGEST else f"{last[:_LONGEST]} ..."
