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
    TimeRemainingColumn,
)

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
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[metrics]}"),
            TimeRemainingColumn(),
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
        shown = [f"loss {metrics['loss']:.3f}", f"accuracy {metrics['accuracy']:.3f}"]
        if "density" in metrics:
            shown.append(f"density {metrics['density']:.3f}")
        text = "  ".join([*shown, f"{rate:.1f} steps/s"])
        self._progress.update(self._task, completed=step, metrics=text)
        waited = now - self._last[0] >= _SECONDS_BETWEEN_LINES
        if not self._live and (waited or step == self._num_steps):
            self._last = (now, step)
            self.say(f"step {step}/{self._num_steps}  {text}")

    def say(self, text: str):
        """Prints a line, above the bar where there is one."""
        _say(self._progress.console, text)


def say(text: str):
    """Prints a line, where there is no bar."""
    _say(_console(), text)


def _say(console: Console, text: str):
    console.print(text, highlight=False, soft_wrap=True)


def _console() -> Console:
    return Console(file=sys.stdout, markup=False, emoji=False)
