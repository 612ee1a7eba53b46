"""What a person sees while a sweep runs: a live table, or a line per event."""

import dataclasses
import statistics
import time
from collections.abc import Sequence

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dynsparse.launching.sweep.trial import Trial

_SECONDS_BETWEEN_DRAWINGS = 1.0  # drawing takes a processor from what is measured
_ROWS = 12  # of the live table that do not run


@dataclasses.dataclass
class _Line:
    """One trial of the table."""

    state: str = "waiting"
    since: float = 0.0
    together: int = 1
    seconds: float | None = None  # its share of what its process took
    complaint: str = ""

    def share(self) -> float:
        """Seconds since its process started, by the trials that it runs."""
        return (time.monotonic() - self.since) / self.together

    def left(self, usual: float) -> float:
        """Its share of what its process still takes, if that is as `usual`."""
        return max(0.0, usual - self.share()) if self.state == "running" else usual


class Board:
    """The states of the trials of a sweep, on a console.

    Args:
        console: On a terminal, a table that is drawn anew; a line per event elsewhere.
        trials: All of the sweep.
        done: Names of those that were finished before.
        jobs: Trials that run at the same time.
    """

    def __init__(
        self, console: Console, trials: Sequence[Trial], done: set[str], *, jobs: int
    ):
        self._console = console
        self._jobs = jobs
        self._lines = {trial.name: _Line() for trial in trials}
        for name in done:
            self._lines[name].state = "finished"
        self._live = None
        if console.is_terminal:
            self._live = Live(self._drawn(), console=console, auto_refresh=False)
        self._drawn_at = 0.0

    def __enter__(self) -> "Board":
        if self._live is not None:
            self._live.start(refresh=True)
        elif before := self._count("finished"):
            self._console.print(f"{before} of {len(self._lines)} were finished before")
        return self

    def __exit__(self, *_):
        if self._live is not None:
            self._live.update(self._drawn(), refresh=True)
            self._live.stop()

    @property
    def complaints(self) -> dict[str, str]:
        """Why trials failed, by name."""
        return {
            name: line.complaint
            for name, line in self._lines.items()
            if line.state == "failed"
        }

    def started(self, trial: Trial, together: int = 1):
        """A process runs the trial, and with it others, `together` in all."""
        line = self._lines[trial.name]
        line.state, line.since = "running", time.monotonic()
        line.together = together
        self._say(f"started   {trial.name}")

    def finished(self, trial: Trial):
        """A trial left its result."""
        line = self._end(trial, "finished")
        line.complaint = ""
        self._say(f"finished  {trial.name}  {line.seconds:.1f} s  ({self._progress()})")

    def died(self, trial: Trial, complaint: str):
        """A trial ended without a result, and is tried again later."""
        line = self._end(trial, "died, once more")
        line.complaint, line.together = complaint, 1
        self._say(f"died      {trial.name}  {complaint}; tried again later")

    def failed(self, trial: Trial, complaint: str):
        """A trial ended without a result for the last time."""
        self._end(trial, "failed").complaint = complaint
        self._say(f"failed    {trial.name}  {complaint}")

    def stopped(self, trial: Trial, finished: bool):
        """A trial ended when it was asked to, or had just `finished`."""
        if finished:
            self.finished(trial)
        else:
            self._end(trial, "stopped")
            self._say(f"stopped   {trial.name}")

    def refresh(self):
        """Draws the table anew, now and then."""
        now = time.monotonic()
        late = now - self._drawn_at >= _SECONDS_BETWEEN_DRAWINGS
        if self._live is not None and late:
            self._drawn_at = now
            self._live.update(self._drawn(), refresh=True)

    def left(self) -> float | None:
        """Seconds until the last trial ends, from those that were finished here.

        The work that is left, shared by the jobs; no less than one process has left.
        """
        took = [
            line.seconds
            for line in self._lines.values()
            if line.seconds and line.state == "finished"
        ]
        if not took:
            return None
        mean = statistics.mean(took)
        ahead = [
            line
            for line in self._lines.values()
            if line.state in ("waiting", "running", "died, once more")
        ]
        longest = max((line.left(mean) * line.together for line in ahead), default=0.0)
        return max(longest, sum(line.left(mean) for line in ahead) / self._jobs)

    def _end(self, trial: Trial, state: str) -> _Line:
        line = self._lines[trial.name]
        line.state = state
        line.seconds = line.share()
        return line

    def _count(self, state: str) -> int:
        return sum(line.state == state for line in self._lines.values())

    def _progress(self) -> str:
        parts = [f"{self._count('finished')} of {len(self._lines)} finished"]
        if failed := self._count("failed"):
            parts.append(f"{failed} failed")
        left = self.left()
        if left is not None and left > 0:
            minutes, seconds = divmod(round(left), 60)
            parts.append(f"{minutes} min {seconds:02} s left")
        return ", ".join(parts)

    def _say(self, text: str):
        if self._live is None:
            self._console.print(text)

    def _drawn(self) -> Group:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
        table.add_column("trial", overflow="fold")
        table.add_column("state", no_wrap=True)
        table.add_column("s", justify="right", no_wrap=True)
        table.add_column("", overflow="ellipsis", no_wrap=True)
        others = [name for name, line in self._lines.items() if line.seconds]
        shown = {*sorted(others, key=lambda name: self._lines[name].since)[-_ROWS:]}
        for name, line in self._lines.items():
            if line.state == "running":
                seconds = time.monotonic() - line.since
            elif name in shown or line.state == "failed":
                seconds = line.seconds or 0.0
            else:
                continue
            table.add_row(name, line.state, f"{seconds:.0f}", Text(line.complaint))
        return Group(table, Text(self._progress()))
