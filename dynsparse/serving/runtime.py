"""One model, at the rung of the moment."""

import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dynsparse.serving.controller import Hysteresis
from dynsparse.serving.ladder import Batch, Ladder
from dynsparse.serving.signals import Moment, Signal


class Answer(NamedTuple):
    """What came out, and how.

    Attributes:
        output: Of the model, one row per example.
        rung: That was used.
        seconds: That the pass took.
        reason: Why this rung, in words.
    """

    output: np.ndarray
    rung: int
    seconds: float
    reason: str


class Runtime:
    """Chooses a rung for each request and runs it; any thread may call it.

    Choosing is under a lock and takes microseconds; passes run outside of it, as many
    at a time as there are callers. Nothing is compiled here.

    Args:
        ladder: The compiled programs.
        signal: What the machine, or a person, allows.
        controller: How fast to follow it.
    """

    def __init__(
        self, ladder: Ladder, signal: Signal, controller: Hysteresis | None = None
    ):
        self.ladder = ladder
        self.signal = signal
        self.controller = controller or Hysteresis()
        self._lock = threading.Lock()

    def predict(self, x: Batch, slacks: Sequence[float] = ()) -> Answer:
        """Returns the answer to `x`.

        Args:
            x: Examples, at least one.
            slacks: Seconds that are left to the waiting requests, this one first, for
                signals that look at deadlines.
        """
        with self._lock:
            moment = Moment(time.monotonic(), len(x), slacks)
            allowed = self.signal.allows(self.ladder, moment)
            lasting = self.controller.update(moment.now, allowed.rung)
            rung = min(lasting, allowed.lowest)
        start = time.monotonic()
        output = self.ladder(rung, x)
        seconds = time.monotonic() - start
        with self._lock:
            self.signal.observe(self.ladder.seconds(rung, len(x)), seconds)
        held = f"; rung {allowed.lowest} not for long yet" * (rung < allowed.lowest)
        return Answer(output, rung, seconds, allowed.reason + held)
