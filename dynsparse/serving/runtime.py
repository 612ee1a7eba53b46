"""Runtime: a model that answers each request at the rung that a signal allows."""

import operator
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import PyTree

from dynsparse.serving.controller import Hysteresis
from dynsparse.serving.ladder import Ladder
from dynsparse.serving.signals import Moment, Signal


class Answer(NamedTuple):
    """Answer to one request.

    Attributes:
        output: Output of the model, as arrays of numpy, one row per example.
        rung: Index of the rung that ran.
        seconds: Duration of the pass.
        reason: Why this rung was chosen, in words.

    >>> serving.Answer(np.zeros((1, 10)), rung=2, seconds=0.01, reason="pinned").rung
    2
    """

    output: PyTree
    rung: int
    seconds: float
    reason: str


class Runtime:
    """Chooses a rung for each request and runs it; any thread may call it.

    A signal says the highest rung that may be used. The runtime uses the highest of
    `rungs` that is not above that one, or else the lowest of `rungs`. A lock guards the
    choice, which takes microseconds; as many passes run at a time as there are callers.
    Nothing is compiled here.

    Args:
        ladder: Compiled programs.
        signal: Says the highest rung that the machine, or a person, allows.
        controller: Says how fast to follow the signal; `Hysteresis()` where None.
        rungs: Indices of the rungs to choose from; None for `ladder.front()`, which
            leaves out rungs that are slower than others and no more accurate.

    Raises:
        ValueError: If the ladder has no such rung, or `rungs` is empty.

    >>> rungs = [serving.Rung(budget=b, seconds={1: b}) for b in (0.5, 1.0)]
    >>> double = lambda batch_stats, state, asked: asked(lambda x: 2 * x)
    >>> ladder = serving.Ladder(
    ...     rungs=rungs,
    ...     programs={(0, 1): double, (1, 1): double},
    ...     batch_stats=((), ()),
    ... )
    >>> hand = serving.Manual(budget=0.7)
    >>> runtime = serving.Runtime(ladder, hand)
    >>> answer = runtime.predict(np.ones((1, 2)))
    >>> answer.rung, answer.reason, answer.output.tolist()
    (0, 'budget set to 0.7', [[2.0, 2.0]])
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

    def predict(self, x: PyTree, slacks: Sequence[float] = ()) -> Answer:
        """Chooses a rung and returns its answer to `x`.

        Args:
            x: Examples, at least one, as `Ladder.__call__` takes them.
            slacks: Seconds left until the deadline of each waiting request, this one
                first, for signals that look at deadlines.

        Raises:
            ValueError: If `x` is not what the ladder was compiled for.
        """
        asked = self.ladder.checked(x)
        number = asked.num_examples
        with self._lock:
            moment = Moment(time.monotonic(), number, slacks, self.rungs)
            allowed = self.signal.allows(self.ladder, moment)
            strictest = self._usable(allowed.lowest)
            lasting = self.controller.update(moment.now, self._usable(allowed.rung))
            rung = min(lasting, strictest)
        start = time.monotonic()
        output = self.ladder(rung, asked)
        seconds = time.monotonic() - start
        with self._lock:
            self.signal.observe(self.ladder.seconds(rung, number), seconds)
        held = f"; rung {strictest} not for long yet" * (rung < strictest)
        return Answer(output, rung, seconds, allowed.reason + held)

    def _usable(self, allowed: int) -> int:
        highest = operator.index(allowed)
        return max((r for r in self.rungs if r <= highest), default=self.rungs[0])
