"""Trials side by side: those that die are tried again, and none stops the others.

Invariants:
- a trial has one process at most, and a slot one process;
- a trial that dies goes to the end of the queue, once, alone, and resumes from what it
  left; one that was refused as a mistake does not;
- however `run` ends, no process is left.
"""

import collections
import errno
import pathlib
import time
from collections.abc import Mapping, Sequence

from dynsparse._internal.stop_signal import StopSignal
from dynsparse.launching.sweep.attempt import Attempt
from dynsparse.launching.sweep.board import Board
from dynsparse.launching.sweep.bundle import Bundle

_GRACE = 60.0  # seconds that a trial has to save its state when it is asked to stop
_PAUSE = 0.1  # seconds between two looks at the processes


class Pool:
    """Runs bundles of trials, one in each slot.

    Args:
        workdir: Folder of the sweep.
        command: Goes on with the sweep.
        slots: Environment of the process in each slot.
        limit: Seconds that a trial may take; None for as long as it wants.
        board: Shows what happens.
        stop: Whether to stop.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        command: str,
        *,
        slots: Sequence[Mapping[str, str]],
        limit: float | None,
        board: Board,
        stop: StopSignal,
    ):
        self._workdir = workdir
        self._command = command
        self._free = list(slots)
        self._limit = limit
        self._board = board
        self._stop = stop
        self._waiting: collections.deque[tuple[Bundle, int]] = collections.deque()
        self._running: list[Attempt] = []

    def run(self, bundles: Sequence[Bundle]):
        """Runs trials until all are finished or have failed, or a stop is asked for.

        Raises:
            OSError: If a trial, or this process, finds the disk full.
        """
        self._waiting.extend((bundle, 1) for bundle in bundles)
        try:
            while (self._waiting or self._running) and not self._stop.times:
                while self._waiting and self._free:
                    self._start(*self._waiting.popleft())
                self._look()
                time.sleep(_PAUSE)
        finally:
            self.end()

    def end(self):
        """Stops what runs: gently at first, by force when that takes too long.

        Returns when nothing runs. A second stop asked for in between kills at once.
        """
        asked = time.monotonic()
        for attempt in self._running:
            attempt.stop()
        while self._running:
            late = time.monotonic() - asked > _GRACE
            if late or self._stop.times > 1:
                for attempt in self._running:
                    attempt.kill()
            for attempt in list(self._running):
                if attempt.poll() is not None:
                    self._running.remove(attempt)
                    for trial, complaint in attempt.outcomes():
                        self._board.stopped(trial, complaint is None)
            time.sleep(_PAUSE)

    def _start(self, bundle: Bundle, number: int):
        folders = [trial.write(self._workdir, self._command) for trial in bundle]
        environment = self._free.pop(0)
        self._running.append(
            Attempt(
                bundle,
                folders,
                number=number,
                environment=environment,
                limit=self._limit,
            )
        )
        for trial in bundle:
            self._board.started(trial, together=len(bundle))

    def _look(self):
        for attempt in list(self._running):
            if attempt.poll() is None:
                continue
            self._running.remove(attempt)
            self._free.append(attempt.environment)
            for trial, complaint in attempt.outcomes():
                if complaint is None:
                    self._board.finished(trial)
                elif attempt.found_no_space:
                    raise OSError(errno.ENOSPC, complaint, str(self._workdir))
                elif attempt.is_final:
                    self._board.failed(trial, complaint)
                else:
                    self._waiting.append(((trial,), attempt.number + 1))
                    self._board.died(trial, complaint)
        self._board.refresh()
