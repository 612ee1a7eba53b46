"""What a person sees while a sweep runs: a live table, or a line per event."""

import functools
import math
import statistics
from collections.abc import Collection, Iterable, Sequence

from rich.console import Console, RenderableType
from rich.progress import Progress, Task, TextColumn
from rich.table import Column
from rich.text import Text

_ROWS = 12  # of the live table that have ended


class LiveTable(Progress):
    """States of the trials of a sweep, on a console.

    Args:
        console: On a terminal, a table that is drawn anew; a line per event elsewhere.
        names: Of all trials of the sweep.
        done: Names of those that were finished before.
        at_once: Most trials that run at the same time.
    """

    def __init__(
        self,
        console: Console,
        names: Sequence[str],
        done: Collection[str],
        *,
        at_once: int,
    ):
        self._at_once = at_once
        self._rows: dict[str, Task] = {}  # which the table reads from now on
        plain = functools.partial(TextColumn, markup=False)
        super().__init__(
            plain("{task.description}", table_column=Column(overflow="fold")),
            plain("{task.fields[state]}", table_column=Column(no_wrap=True)),
            plain("{task.elapsed:.0f} s", justify="right"),
            plain("{task.fields[complaint]}", table_column=Column(no_wrap=True)),
            console=console,
            refresh_per_second=1,  # drawing takes a processor from what is measured
            disable=not console.is_terminal,
        )
        for name in names:
            state = "finished" if name in done else "waiting"
            row = self.add_task(name, start=False, visible=False)
            self.update(row, state=state, complaint="")
        self._rows |= {row.description: row for row in self.tasks}

    def __enter__(self) -> "LiveTable":
        if before := len(self._of("finished")):
            self._say(f"{before} of {len(self._rows)} were finished before")
        return super().__enter__()

    @property
    def complaints(self) -> dict[str, str]:
        """Why trials failed, by name."""
        return {row.description: row.fields["complaint"] for row in self._of("failed")}

    def started(self, name: str):
        """Note that a process runs a trial."""
        row = self._rows[name]
        row.start_time, row.stop_time = self.get_time(), None
        self.update(row.id, visible=True, state="running")
        self._say(f"started   {name}")

    def ended(self, name: str, state: str, complaint: str = ""):
        """Note that a process left a trial.

        Args:
            name: Of the trial.
            state: "finished" with a result; "died" without, to be tried again later;
                "failed" without, for the last time; "stopped" when it was asked to.
            complaint: Why there is no result.
        """
        row = self._rows[name]
        self.stop_task(row.id)
        self.update(row.id, state=state, complaint=complaint)
        told = dict(
            finished=f"{row.elapsed:.1f} s  ({self._progress()})",
            died=f"{complaint}; tried again later",
        )
        self._say(f"{state:9} {name}  {told.get(state, complaint)}".rstrip())
        ended = self._of("finished", "died", "stopped")
        for row in sorted(ended, key=lambda row: row.stop_time or 0)[:-_ROWS]:
            row.visible = False

    def left(self) -> float | None:
        """Seconds until the last trial ends, if each takes as long as those so far."""
        took = [row.elapsed for row in self._of("finished") if row.elapsed]
        waves = math.ceil(len(self._of("waiting", "running", "died")) / self._at_once)
        return waves * statistics.mean(took) if took else None

    def get_renderables(self) -> Iterable[RenderableType]:
        """The rows that are shown, and how far the sweep is."""
        yield self.make_tasks_table(self.tasks)
        yield Text(self._progress())

    def _progress(self) -> str:
        parts = [f"{len(self._of('finished'))} of {len(self._rows)} finished"]
        if failed := len(self._of("failed")):
            parts.append(f"{failed} failed")
        if left := self.left():
            minutes, seconds = divmod(round(left), 60)
            parts.append(f"{minutes} min {seconds:02} s left")
        return ", ".join(parts)

    def _of(self, *states: str) -> list[Task]:
        return [row for row in self._rows.values() if row.fields["state"] in states]

    def _say(self, text: str):
        if self.disable:
            self.console.print(text)
