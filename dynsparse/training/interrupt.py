"""Ctrl-C and SIGTERM end a run between two steps, where nothing is lost."""

import signal
from types import FrameType


class Interrupted(Exception):
    """A run was asked to stop and has saved its state.

    Args:
        step: Where it stopped.
    """

    def __init__(self, step: int):
        super().__init__(f"stopped at step {step}")
        self.step = step


class StopSignal:
    """Turns the first SIGINT or SIGTERM into a flag; the second one acts as usual."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self):
        self.asked = False

    def __enter__(self) -> "StopSignal":
        self._previous = {
            number: signal.signal(number, self._note) for number in self._SIGNALS
        }
        return self

    def __exit__(self, *_):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None):
        del frame
        self.asked = True
        signal.signal(number, self._previous[signal.Signals(number)])
