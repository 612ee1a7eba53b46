"""One model, at the rung of the moment."""

import operator
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

    A signal says the highest rung that may be used. What is used is the highest of
    `rungs` that is not above it, or their lowest.

    Args:
        ladder: The compiled programs.
        signal: What the machine, or a person, allows.
        controller: How fast to follow it.
        rungs: Indices of the rungs to choose from; None for `ladder.front()`, which
            leaves out those that are slower than others and no more accurate.

    Raises:
        ValueError: If the ladder has no such rung, or none is given.
    """

    def __init__(
        self,
        ladder: Ladder,
        signal: Signal,
        controller: Hysteresis | None = None,
        *,
        rungs: Sequence[int] | None = None,
    ):
        chosen = ladder.front() if rungs is None else rungs
        inside = lambda rung: (
            isinstance(rung, int | np.integer) and 0 <= rung < len(ladder.rungs)
        )
        if not len(chosen) or not all(map(inside, chosen)):
            raise ValueError(
                f"rungs must be indices of the ladder, 0 to {len(ladder.rungs) - 1}, "
                f"got {tuple(chosen)}."
            )
        self.ladder = ladder
        self.signal = signal
        self.controller = controller or Hysteresis()
        self.rungs = tuple(sorted(map(int, chosen)))
        self._lock = threading.Lock()

    def predict(self, x: Batch, slacks: Sequence[float] = ()) -> Answer:
        """Returns the answer to `x`.

        Args:
            x: Examples, at least one.
            slacks: Seconds that are left to the waiting requests, this one first, for
                signals that look at deadlines.

        Raises:
            ValueError: If `x` is not what the ladder was compiled for.
        """
        x = self.ladder.checked(x)
        with self._lock:
            moment = Moment(time.monotonic(), len(x), slacks, self.rungs)
            allowed = self.signal.allows(self.ladder, moment)
            strictest = self._usable(allowed.lowest)
            lasting = self.controller.update(moment.now, self._usable(allowed.rung))
            rung = min(lasting, strictest)
        start = time.monotonic()
        output = self.ladder(rung, x)
        seconds = time.monotonic() - start
        with self._lock:
            self.signal.observe(self.ladder.seconds(rung, len(x)), seconds)
        held = f"; rung {strictest} not for long yet" * (rung < strictest)
        return Answer(output, rung, seconds, allowed.reason + held)

    def _usable(self, allowed: int) -> int:
        highest = operator.index(allowed)
        return max((r for r in self.rungs if r <= highest), default=self.rungs[0])
