"""Ctrl-C and SIGTERM ask for a stop where nothing is lost."""

import signal
from types import FrameType


class StopSignal:
    """Counts SIGINT and SIGTERM while it is entered.

    Attributes:
        times: How often a stop was asked for.

    Args:
        only_first: Whether the second signal acts as usual.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, *, only_first: bool):
        self.times = 0
        self._only_first = only_first

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
        self.times += 1
        if self._only_first:
            signal.signal(number, self._previous[signal.Signals(number)])
