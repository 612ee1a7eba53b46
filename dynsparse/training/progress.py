"""Progress of a run for people: a live bar on a terminal, lines elsewhere."""

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

_SECONDS_BETWEEN_LINES = 10
_LONGEST = 8  # characters of a name beside the bar


class _Bar:
    """Bar on a terminal; elsewhere a line every ten seconds.

    Args:
        *columns: Columns of the bar.
        transient: Whether the bar disappears at the end.
    """

    def __init__(self, *columns: ProgressColumn, transient: bool = False):
        console = _console()
        self._live = console.is_terminal
        self._begun = self._said = time.monotonic()
        self._progress = Progress(
            *columns, console=console, disable=not self._live, transient=transient
        )

    def __enter__(self):
        self._progress.start()
        return self

    def __exit__(self, *_):
        self._progress.stop()

    def say(self, text: str):
        """Prints a line, above the bar where there is one."""
        _say(self._progress.console, text)

    def _say_now_and_then(self, text: str, now: float, *, always: bool = False):
        waited = now - self._said >= _SECONDS_BETWEEN_LINES
        if not self._live and (waited or always):
            self._said = now
            self.say(text)


class ProgressReport(_Bar):
    """Progress of a training.

    Args:
        start: Step that the run starts from.
        num_steps: Last step.
        metric: Name of the task's score, which is shown where the metrics have it.
    """

    def __init__(self, start: int, num_steps: int, metric: str):
        super().__init__(
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[metrics]}", table_column=_whole()),
            TimeRemainingColumn(compact=True, table_column=_whole()),
        )
        self._start, self._num_steps, self._metric = start, num_steps, metric
        self._task = self._progress.add_task(
            "train", total=num_steps, completed=start, metrics=""
        )

    def update(self, step: int, metrics: Mapping[str, float]):
        """Shows the metrics of `step`."""
        now = time.monotonic()
        rate = (step - self._start) / max(now - self._begun, 1e-9)
        shown = [f"loss {metrics['loss']:.3f}"]
        for name, digits in ((self._metric, 3), ("density", 2)):
            if name in metrics:
                words = name.replace("_", " ")[:_LONGEST]
                shown.append(f"{words} {metrics[name]:.{digits}f}")
        text = "  ".join([*shown, f"{rate:.1f}/s"])
        self._progress.update(self._task, completed=step, metrics=text)
        line = f"step {step}/{self._num_steps}  {text}"
        self._say_now_and_then(line, now, always=step == self._num_steps)

    def working(self, text: str, *, aloud: bool = False):
        """Says what takes a while, in place of the metrics.

        Args:
            text: Description of the work.
            aloud: Whether to print a line where there is no bar.
        """
        self._progress.update(self._task, metrics=f"{text} ...")
        if aloud and not self._live:
            self.say(f"{text} ...")


class Phase(_Bar):
    """Progress of one part of the work that follows a training.

    Args:
        text: Description of the work.
        total: Number of parts; None where they cannot be counted.
    """

    def __init__(self, text: str, total: int | None = None):
        super().__init__(
            TextColumn("{task.description}", table_column=_whole()),
            BarColumn(bar_width=None),
            *([MofNCompleteColumn()] if total else []),
            TimeElapsedColumn(),
            transient=True,
        )
        self._text, self._total, self._done = text, total, 0
        self._task = self._progress.add_task(text, total=total)

    def __enter__(self):
        if not self._live:
            say(f"{self._text} ...")
        return super().__enter__()

    def advance(self):
        """Counts a part as done."""
        self._done += 1
        self._progress.advance(self._task)
        line = f"  {self._done} of {self._total} done"
        self._say_now_and_then(line, time.monotonic())


def say(*lines: str):
    """Prints lines, where there is no bar."""
    for text in lines:
        _say(_console(), text)


def _whole() -> Column:
    """A column that keeps its words when the bar has little room."""
    return Column(no_wrap=True)


def _say(console: Console, text: str):
    console.print(text, highlight=False, soft_wrap=True)


def _console() -> Console:
    return Console(file=sys.stdout, markup=False, emoji=False)
