"""Signals of the machine: free memory, and the processor that others leave."""

import threading
import time
from collections.abc import Callable

import numpy as np
import psutil

from dynsparse.serving.ladder import Ladder
from dynsparse.serving.signals import Allowance, Moment, Signal, within

_SHORTEST = 0.1  # seconds: the clock of a processor's use ticks every 0.01
_NOISE = 0.05  # share of the processor that a measurement may be off by


class FreeMemory(Signal):
    """Memory that other processes leave free.

    Args:
        reserve: Bytes to leave free.
        read: Returns the number of free bytes; psutil's where None.

    >>> rungs = [
    ...     serving.Rung(budget=b, seconds={1: b}, peak_bytes={1: int(8e6 * b)})
    ...     for b in (0.25, 0.5, 1.0)
    ... ]
    >>> memory = serving.FreeMemory(reserve=0, read=lambda: 5_000_000)
    >>> moment = serving.Moment(now=0.0, number=1)
    >>> memory.allows(serving.Ladder(rungs=rungs), moment)
    Allowance(rung=1, reason='5 MB of memory to spare', at_once=None)
    """

    def __init__(self, reserve: int, read: Callable[[], int] | None = None):
        self.reserve = reserve
        self._read = read or (lambda: psutil.virtual_memory().available)

    def allows(self, ladder: Ladder, moment: Moment) -> Allowance:
        """Allows the highest rung that fits beside the reserve, or else the lowest."""
        free = self._read() - self.reserve
        size = ladder.fitting(moment.number)
        fits = [i for i, r in enumerate(ladder.rungs) if r.peak_bytes[size] <= free]
        reason = f"{max(free, 0) / 1e6:.0f} MB of memory to spare"
        return Allowance(max(fits, default=0), reason)


class CpuShare(Signal):
    """Share of the processor that other processes leave.

    Args:
        period: Seconds between two readings, > 0.
        read: Returns the share of all cores that other processes use, in [0, 1];
            psutil's, without this process, where None.

    >>> rungs = [serving.Rung(budget=b, seconds={1: b}) for b in (0.25, 0.5, 1.0)]
    >>> ladder = serving.Ladder(rungs=rungs)
    >>> share = serving.CpuShare(read=lambda: 0.45)
    >>> share.allows(ladder, serving.Moment(now=0.0, number=1))
    Allowance(rung=1, reason='55% of the processor left by others', at_once=None)
    """

    def __init__(self, period: float = 0.2, read: Callable[[], float] | None = None):
        self._period = period
        self._read = read or _others_share()
        self._next = 0.0
        self._left = 1.0

    def allows(self, ladder: Ladder, moment: Moment) -> Allowance:
        """Allows the highest rung whose budget is at most the share that is left.

        Another 0.05 is allowed, for noise of the reading. Where no rung is as cheap,
        the lowest one is allowed.
        """
        if moment.now >= self._next:
            self._left = 1.0 - self._read()
            self._next = moment.now + self._period
        reason = f"{self._left:.0%} of the processor left by others"
        return Allowance(within(ladder, self._left + _NOISE), reason)


def _others_share() -> Callable[[], float]:
    process, lock = psutil.Process(), threading.Lock()

    def look() -> tuple[float, float, float]:
        """Returns the time, the idle time and the time that this process used."""
        # Not psutil.cpu_percent, which remembers one reading for each thread.
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
