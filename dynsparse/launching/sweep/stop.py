"""Ctrl-C and SIGTERM end a sweep where nothing is lost."""

import signal
from types import FrameType


class Stop:
    """Turns SIGINT and SIGTERM into a count of how often a stop was asked for."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self):
        self.times = 0

    def __enter__(self) -> "Stop":
        self._previous = {
            number: signal.signal(number, self._note) for number in self._SIGNALS
        }
        return self

    def __exit__(self, *_):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None):
        del number, frame
        self.times += 1
