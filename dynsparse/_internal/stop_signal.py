"""Graceful shutdown on SIGINT and SIGTERM."""

import signal
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """A run was asked to stop, and has saved its state between two steps.

    >>> str(training.Interrupted(120))
    'stopped at step 120'

    Args:
        step: Number of steps that the saved state has behind it.
    """

    def __init__(self, step: int):
        super().__init__(f"stopped at step {step}")
        self.step = step


class StopSignal:
    """Context manager that counts SIGINT and SIGTERM instead of ending the process.

    Attributes:
        times: Number of signals so far.

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
