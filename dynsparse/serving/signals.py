"""Signals: the highest rung that the machine, or a person, allows now."""

import abc
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from dynsparse.serving.ladder import Ladder


class Moment(NamedTuple):
    """State of the queue when a rung is chosen.

    Attributes:
        now: `time.monotonic()`.
        number: Number of examples of the request that is served next.
        slacks: Seconds left until the deadline of each waiting request, that one first;
            empty where requests have no deadline.
        rungs: Indices of the rungs to choose from; empty for all.

    >>> rungs = [serving.Rung(budget=b, seconds={1: b}) for b in (0.25, 0.5, 1.0)]
    >>> ladder = serving.Ladder(rungs=rungs)
    >>> list(serving.Moment(now=0.0, number=1).choices(ladder))
    [0, 1, 2]
    """

    now: float
    number: int
    slacks: Sequence[float] = ()
    rungs: Sequence[int] = ()

    def choices(self, ladder: Ladder) -> Sequence[int]:
        """Returns the rungs to choose from."""
        return self.rungs or range(len(ladder.rungs))


class Allowance(NamedTuple):
    """Highest rung that a signal allows.

    Attributes:
        rung: Highest rung from now on.
        reason: Why, in words.
        at_once: Lower rung for this request alone; None if `rung` will do.

    >>> serving.Allowance(rung=2, reason="a burst", at_once=1).lowest
    1
    """

    rung: int
    reason: str
    at_once: int | None = None

    @property
    def lowest(self) -> int:
        """The lower of `rung` and `at_once`."""
        return self.rung if self.at_once is None else min(self.rung, self.at_once)


class Signal(abc.ABC):
    """Base of signals. Subclass it and define `allows`.

    >>> class OnBattery(serving.Signal):
    ...     def allows(self, ladder, moment):
    ...         return serving.Allowance(0, "the machine runs on battery")
    >>> rungs = [serving.Rung(budget=b, seconds={1: b}) for b in (0.5, 1.0)]
    >>> moment = serving.Moment(now=0.0, number=1)
    >>> OnBattery().allows(serving.Ladder(rungs=rungs), moment).rung
    0
    """

    @abc.abstractmethod
    def allows(self, ladder: Ladder, moment: Moment) -> Allowance:
        """Returns the highest rung that may be used now.

        Args:
            ladder: Ladder whose rungs count.
            moment: State of the queue.
        """

    def observe(self, predicted: float, seconds: float):
        """Learns from a pass; does nothing unless a signal defines it.

        Args:
            predicted: Seconds that the pass takes on an idle machine.
            seconds: Seconds that it took.
        """
        del predicted, seconds


class Manual(Signal):
    """Budget that a person sets.

    Attributes:
        budget: Fraction of the dense MACs, > 0; may be set at any time, by any thread.

    >>> rungs = [serving.Rung(budget=b, seconds={1: b}) for b in (0.25, 0.5, 1.0)]
    >>> ladder = serving.Ladder(rungs=rungs)
    >>> hand = serving.Manual(budget=0.6)
    >>> hand.allows(ladder, serving.Moment(now=0.0, number=1)).rung
    1
    """

    def __init__(self, budget: float = 1.0):
        self.budget = budget

    def allows(self, ladder: Ladder, moment: Moment) -> Allowance:
        """Allows the highest rung within the budget, or else the lowest."""
        budget = self.budget
        return Allowance(within(ladder, budget), f"budget set to {budget:g}")


class Pinned(Signal):
    """One rung, whatever happens; the baseline of every controller.

    Args:
        rung: Index into the rungs of a ladder, at least 0.

    Raises:
        ValueError: If `rung` is no index.

    >>> rungs = [serving.Rung(budget=b, seconds={1: b}) for b in (0.25, 0.5, 1.0)]
    >>> ladder = serving.Ladder(rungs=rungs)
    >>> serving.Pinned(2).allows(ladder, serving.Moment(now=0.0, number=1)).rung
    2
    """

    def __init__(self, rung: int):
        if not isinstance(rung, int | np.integer) or rung < 0:
            raise ValueError(f"rung must be an index of at least 0, got {rung!r}.")
        self._rung = int(rung)

    def allows(self, ladder: Ladder, moment: Moment) -> Allowance:
        """Allows the pinned rung."""
        return Allowance(self._rung, "pinned")


class QueueLength(Signal):
    """Length of a queue: the longer it is, the cheaper the passes.

    Args:
        length: Returns the number of waiting requests.
        limit: Number of requests at which only the lowest rung is allowed, >= 1.

    Raises:
        ValueError: If the limit is below 1.

    >>> rungs = [serving.Rung(budget=b, seconds={1: b}) for b in (0.25, 0.5, 1.0)]
    >>> ladder = serving.Ladder(rungs=rungs)
    >>> queue = serving.QueueLength(length=lambda: 4, limit=8)
    >>> queue.allows(ladder, serving.Moment(now=0.0, number=1)).rung
    1
    """

    def __init__(self, length: Callable[[], int], limit: int):
        if not limit >= 1:
            raise ValueError(f"limit must be at least 1 request, got {limit}.")
        self._length, self._limit = length, limit

    def allows(self, ladder: Ladder, moment: Moment) -> Allowance:
        """Allows one rung less for each equal part of the limit that is filled."""
        waiting, top = self._length(), len(ladder.rungs) - 1
        filled = min(waiting, self._limit)
        rung = top - filled * top // self._limit
        return Allowance(rung, f"{waiting} requests waiting")


class Lowest(Signal):
    """The strictest of several signals.

    Args:
        *signals: Signals, all of which are obeyed.

    >>> rungs = [serving.Rung(budget=b, seconds={1: b}) for b in (0.25, 0.5, 1.0)]
    >>> ladder = serving.Ladder(rungs=rungs)
    >>> both = serving.Lowest(serving.Manual(0.6), serving.Pinned(0))
    >>> both.allows(ladder, serving.Moment(now=0.0, number=1)).reason
    'pinned'
    """

    def __init__(self, *signals: Signal):
        self._signals = signals

    def allows(self, ladder: Ladder, moment: Moment) -> Allowance:
        """Allows what the strictest signal allows, with its reason."""
        allowed = [signal.allows(ladder, moment) for signal in self._signals]
        strictest = min(allowed, key=lambda one: one.lowest)
        lasting = min(one.rung for one in allowed)
        return Allowance(lasting, strictest.reason, strictest.lowest)

    def observe(self, predicted: float, seconds: float):
        """Tells every signal about a pass."""
        for signal in self._signals:
            signal.observe(predicted, seconds)


def within(ladder: Ladder, budget: float) -> int:
    """Returns the highest rung within a budget, or else the lowest."""
    affordable = [i for i, r in enumerate(ladder.rungs) if r.budget <= budget + 1e-9]
    return max(affordable, default=0)
