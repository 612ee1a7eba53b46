"""What a person sees while a run trains."""

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

_SECONDS_BETWEEN_LINES = 10


class ProgressReport:
    """A live bar on a terminal, a line now and then elsewhere.

    Args:
        start: The step that the run starts from.
        num_steps: The last one.
    """

    def __init__(self, start: int, num_steps: int):
        console = _console()
        self._live = console.is_terminal
        self._num_steps = num_steps
        self._first = self._last = (time.monotonic(), start)
        self._progress = Progress(
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[metrics]}", table_column=_whole()),
            TimeRemainingColumn(compact=True, table_column=_whole()),
            console=console,
            disable=not self._live,
        )
        self._task = self._progress.add_task(
            "train", total=num_steps, completed=start, metrics=""
        )

    def __enter__(self) -> "ProgressReport":
        self._progress.start()
        return self

    def __exit__(self, *_):
        self._progress.stop()

    def update(self, step: int, metrics: Mapping[str, float]):
        """Shows the metrics of `step`."""
        now, (then, before) = time.monotonic(), self._first
        rate = (step - before) / max(now - then, 1e-9)
        shown = [f"loss {metrics['loss']:.3f}", f"acc {metrics['accuracy']:.3f}"]
        if "density" in metrics:
            shown.append(f"density {metrics['density']:.2f}")
        text = "  ".join([*shown, f"{rate:.1f} steps/s"])
        self._progress.update(self._task, completed=step, metrics=text)
        waited = now - self._last[0] >= _SECONDS_BETWEEN_LINES
        if not self._live and (waited or step == self._num_steps):
            self._last = (now, step)
            self.say(f"step {step}/{self._num_steps}  {text}")

    def working(self, text: str, *, aloud: bool = False):
        """Says what takes a while, in place of the metrics.

        Args:
            text: What is done.
            aloud: Whether to print a line where there is no bar.
        """
        self._progress.update(self._task, metrics=f"{text} ...")
        if aloud and not self._live:
            self.say(f"{text} ...")

    def say(self, text: str):
        """Prints a line, above the bar where there is one."""
        _say(self._progress.console, text)


class Phase:
    """A stretch of work after the training: a bar on a terminal, a line elsewhere.

    Args:
        text: What is done.
        total: Parts that it has; None where they cannot be counted.
    """

    def __init__(self, text: str, total: int | None = None):
        console = _console()
        self._live = console.is_terminal
        self._text, self._total, self._done = text, total, 0
        self._said = time.monotonic()
        columns = [MofNCompleteColumn()] if total else []
        self._progress = Progress(
            TextColumn("{task.description}", table_column=_whole()),
            BarColumn(bar_width=None),
            *columns,
            TimeElapsedColumn(),
            console=console,
            disable=not self._live,
            transient=True,
        )
        self._task = self._progress.add_task(text, total=total)

    def __enter__(self) -> "Phase":
        if not self._live:
            say(f"{self._text} ...")
        self._progress.start()
        return self

    def __exit__(self, *_):
        self._progress.stop()

    def advance(self):
        """Counts a part that is done."""
        self._done += 1
        self._progress.advance(self._task)
        now = time.monotonic()
        if not self._live and now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            say(f"  {self._done} of {self._total} done")


def _whole() -> Column:
    """A column that keeps its words when the bar has little room."""
    return Column(no_wrap=True)


def say(text: str):
    """Prints a line, where there is no bar."""
    _say(_console(), text)


def _say(console: Console, text: str):
    console.print(text, highlight=False, soft_wrap=True)


def _console() -> Console:
    return Console(file=sys.stdout, markup=False, emoji=False)
