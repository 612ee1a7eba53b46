"""What a machine or a person allows: the highest rung, and why."""

import abc
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import psutil

from dynsparse.serving.ladder import Ladder

_SHORTEST = (
    0.1  # seconds of which a share of the processor can be told, in ticks of .01
)
_NOISE = 0.05  # of such a share


class Moment(NamedTuple):
    """What is known when a rung is chosen.

    Attributes:
        now: `time.monotonic()`.
        number: Examples of the request that is served next.
        slacks: Seconds left to each waiting request, that one first; empty where
            requests have no deadline.
        rungs: Indices of the rungs to choose from; empty for all.
    """

    now: float
    number: int
    slacks: Sequence[float] = ()
    rungs: Sequence[int] = ()

    def choices(self, ladder: Ladder) -> Sequence[int]:
        """The rungs to choose from."""
        return self.rungs or range(len(ladder.rungs))


class Allowance(NamedTuple):
    """What a signal allows.

    Attributes:
        rung: The highest rung, as far as things last.
        reason: Why, in words.
        at_once: A lower one, for this request alone; None where there is no such need.
    """

    rung: int
    reason: str
    at_once: int | None = None

    @property
    def lowest(self) -> int:
        """The strictest of both."""
        return self.rung if self.at_once is None else min(self.rung, self.at_once)


class Signal(abc.ABC):
    """Reads the state of the world."""

    @abc.abstractmethod
    def allows(self, ladder: Ladder, moment: Moment) -> Allowance:
        """The highest rung that may be used now."""

    def observe(self, predicted: float, seconds: float):
        """Hears how long a pass took, beside its time on an idle machine."""
        del predicted, seconds  # most signals have nothing to learn from it


class Manual(Signal):
    """A number that a person sets, from any thread.

    Attributes:
        budget: Fraction of the dense MACs, > 0; may be set at any time.
    """

    def __init__(self, budget: float = 1.0):
        self.budget = budget

    def allows(self, ladder: Ladder, moment: Moment) -> Allowance:
        """The highest rung within the budget, or the lowest."""
        budget = self.budget
        return Allowance(_within(ladder, budget), f"budget set to {budget:g}")


class Pinned(Signal):
    """One rung, whatever happens: what every controller is compared with.

    Args:
        rung: Index on the ladder, at least 0.

    Raises:
        ValueError: If it is no index.
    """

    def __init__(self, rung: int):
        if not isinstance(rung, int | np.integer) or rung < 0:
            raise ValueError(f"rung must be an index of at least 0, got {rung!r}.")
        self._rung = int(rung)

    def allows(self, ladder: Ladder, moment: Moment) -> Allowance:
        """That rung."""
        return Allowance(self._rung, "pinned")


class FreeMemory(Signal):
    """Keeps memory free for others.

    Args:
        reserve: Bytes that are not to be touched.
        read: Returns the bytes that are free; psutil's account where None.
    """

    def __init__(self, reserve: int, read: Callable[[], int] | None = None):
        self.reserve = reserve
        self._read = read or (lambda: psutil.virtual_memory().available)

    def allows(self, ladder: Ladder, moment: Moment) -> Allowance:
        """The highest rung whose pass fits beside the reserve, or the lowest."""
        free = self._read() - self.reserve
        size = ladder.fitting(moment.number)
        fits = [i for i, r in enumerate(ladder.rungs) if r.peak_bytes[size] <= free]
        reason = f"{max(free, 0) / 1e6:.0f} MB of memory to spare"
        return Allowance(max(fits, default=0), reason)


class CpuShare(Signal):
    """Leaves to other processes the share of the processor that they take.

    Args:
        period: Seconds between looks, > 0.
        read: Returns the share of all cores that others use, in [0, 1]; psutil's
            account, less this process, where None.
    """

    def __init__(self, period: float = 0.2, read: Callable[[], float] | None = None):
        self._period = period
        self._read = read or _others_share()
        self._next = 0.0
        self._left = 1.0

    def allows(self, ladder: Ladder, moment: Moment) -> Allowance:
        """The highest rung whose share of the dense MACs is left, or the lowest.

        A twentieth of the processor less is taken for noise.
        """
        if moment.now >= self._next:
            self._left = 1.0 - self._read()
            self._next = moment.now + self._period
        reason = f"{self._left:.0%} of the processor left by others"
        return Allowance(_within(ladder, self._left + _NOISE), reason)


class QueueLength(Signal):
    """Evaluation a long queue with cheaper passes.

    Args:
        length: Returns the number of waiting requests.
        limit: Number at which only the lowest rung is allowed, >= 1.

    Raises:
        ValueError: If the limit is below 1.
    """

    def __init__(self, length: Callable[[], int], limit: int):
        if not limit >= 1:
            raise ValueError(f"limit must be at least 1 request, got {limit}.")
        self._length, self._limit = length, limit

    def allows(self, ladder: Ladder, moment: Moment) -> Allowance:
        """One rung less for each equal part of the limit that the queue fills."""
        waiting, top = self._length(), len(ladder.rungs) - 1
        filled = min(waiting, self._limit)
        rung = top - filled * top // self._limit
        return Allowance(rung, f"{waiting} requests waiting")


class Lowest(Signal):
    """The strictest of several signals."""

    def __init__(self, *signals: Signal):
        self._signals = signals

    def allows(self, ladder: Ladder, moment: Moment) -> Allowance:
        """What the strictest allows, lasting and at once, with its reason."""
        allowed = [signal.allows(ladder, moment) for signal in self._signals]
        strictest = min(allowed, key=lambda one: one.lowest)
        lasting = min(one.rung for one in allowed)
        return Allowance(lasting, strictest.reason, strictest.lowest)

    def observe(self, predicted: float, seconds: float):
        """Passes it on to all of them."""
        for signal in self._signals:
            signal.observe(predicted, seconds)


def _within(ladder: Ladder, budget: float) -> int:
    affordable = [i for i, r in enumerate(ladder.rungs) if r.budget <= budget + 1e-9]
    return max(affordable, default=0)


def _others_share() -> Callable[[], float]:
    process, lock = psutil.Process(), threading.Lock()

    def look() -> tuple[float, float, float]:
        """The time, and since the start the idle time and this process's own."""
        # Not psutil.cpu_percent: that remembers a last look for each thread.
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        return time.monotonic(), idle, sum(process.cpu_times()[:2])

    last, share = look(), 0.0

    def read() -> float:
        nonlocal last, share
        with lock:
            now = look()
            elapsed, idle, mine = np.subtract(now, last)
            if elapsed >= _SHORTEST:
                used = 1 - (idle + mine) / (elapsed * (psutil.cpu_count() or 1))
                last, share = now, min(max(float(used), 0.0), 1.0)
            return share

    return read
