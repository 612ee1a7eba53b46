"""The signal of requests that must be answered in time."""

import collections
import dataclasses
import math
import statistics
from collections.abc import Sequence

from dynsparse.serving.impatience import Queue
from dynsparse.serving.ladder import Ladder
from dynsparse.serving.signals import Allowance, Moment, Signal

_PASSES = 8  # that say how slow the machine is


class Deadline(Signal):
    """The rung at which most requests are answered right *and* in time.

    With accuracies, a slow rung is worth what it gets right, less what others lose by
    it. The rung is sought that would lose least if it served requests for ever as they
    come now; the request at hand then gets the rung that is best if all that follow get
    that one: one step of policy improvement (Howard, 1960), on the queue of
    `serving.impatience`. A quiet moment is used for a dearer rung, and a burst is
    answered by a cheaper one before it has become a queue.

    Without accuracies, the rung that lasts is the highest that is able to serve
    requests as fast as they come, and the request at hand gets the highest at which all
    that waits is in time.

    The times of the ladder are those of an idle machine. Where others take a part of
    it, passes take longer; what the last eight took says by how much. Keeping up is a
    matter of their mean; deadlines, of the longest but one: one stall changes nothing,
    and two slow passes are believed.

    Args:
        margin: Share of the slack that a plan may fill, in (0, 1].
        busy: Share of the time that passes may take, in (0, 1].
        window: Seconds over which arrivals are counted, > 0 and finite.

    Raises:
        ValueError: If a value is out of range.
    """

    def __init__(self, margin: float = 0.9, busy: float = 1.0, window: float = 0.5):
        for name, value in (("margin", margin), ("busy", busy)):
            if not 0 < value <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {value}.")
        if not 0 < window < math.inf:
            raise ValueError(f"window must be > 0 seconds, got {window}.")
        self.margin, self.busy, self.window = margin, busy, window
        self._ratios = collections.deque([1.0, 1.0], maxlen=_PASSES)
        self._arrivals: collections.deque[float] = collections.deque()
        self._patience = math.inf  # of the requests that come, on average

    def arrived(self, now: float, seconds: float = math.inf):
        """Notes that a request came.

        Args:
            now: On `time.monotonic()`.
            seconds: In which it is to be answered.
        """
        self._forget(now)
        self._arrivals.append(now)
        if math.isfinite(seconds):
            old = self._patience if math.isfinite(self._patience) else seconds
            self._patience = old + (seconds - old) / _PASSES

    def rate(self, now: float) -> float:
        """Requests per second, over the window."""
        self._forget(now)
        return len(self._arrivals) / self.window

    def allows(self, ladder: Ladder, moment: Moment) -> Allowance:
        """The rung for this request; without accuracies, the one that lasts too.

        Args:
            ladder: Whose seconds and accuracies count.
            moment: Its `rungs` are those to choose from.
        """
        rungs = _worthwhile(ladder, moment.number, moment.choices(ladder))
        rate = self.rate(moment.now)
        seconds = [ladder.seconds(rung, moment.number) for rung in rungs]
        found = [ladder.rungs[rung].accuracy for rung in rungs]
        accuracy = [share for share in found if share is not None]
        if len(accuracy) == len(rungs):
            lasting = len(rungs) - 1  # each request is a choice of its own
            at_once = self._improved(rate, moment.slacks, seconds, accuracy)
        else:
            taken = [self._mean() * one for one in seconds]
            lasting = _highest([rate * one <= self.busy for one in taken], seconds)
            at_once = _highest(
                [self._all_in_time(moment.slacks, one) for one in seconds], seconds
            )
        tightest = 1e3 * min(moment.slacks, default=math.inf)
        return Allowance(
            rungs[lasting],
            f"{len(moment.slacks)} waiting, {tightest:.0f} ms left; {rate:.0f} "
            f"requests/s, passes {self._mean():.2f} times as long",
            rungs[at_once],
        )

    @property
    def slowdown(self) -> float:
        """How many times as long as on the idle machine passes take now."""
        return max(1.0, sorted(self._ratios)[-2])

    def observe(self, predicted: float, seconds: float):
        """Learns from a pass how much slower the machine has become."""
        if predicted > 0:
            self._ratios.append(seconds / predicted)

    def least(self, ladder: Ladder, number: int, rungs: Sequence[int] = (0,)) -> float:
        """Seconds that the fastest rung takes now: who has less left is hopeless."""
        rungs = _worthwhile(ladder, number, rungs)
        return self.slowdown * min(ladder.seconds(rung, number) for rung in rungs)

    def refused(self):
        """Forgets a little: while all are refused, no pass says that it got better."""
        self._ratios.append(1.0)

    def _mean(self) -> float:
        return max(1.0, statistics.fmean(self._ratios))

    def _forget(self, now: float):
        while self._arrivals and self._arrivals[0] < now - self.window:
            self._arrivals.popleft()

    def _improved(
        self,
        rate: float,
        slacks: Sequence[float],
        seconds: Sequence[float],
        accuracy: Sequence[float],
    ) -> int:
        """The best choice for the first of the waiting, by what it costs the others."""
        mean, indices = self._mean(), range(len(seconds))
        variation = statistics.pvariance(self._ratios) / mean**2
        patience = self.margin * self._patience
        queues = [
            Queue(
                load=rate * mean * one / self.busy,
                seconds=mean * one,
                patience=max(patience - self.slowdown * one, 0.0),
                variation=variation,
            )
            for one in seconds
        ]
        steady = [
            right * (1 - queue.lost())
            for right, queue in zip(accuracy, queues, strict=True)
        ]
        base = max(indices, key=lambda i: (steady[i], -seconds[i]))
        later = dataclasses.replace(
            queues[base], patience=max(patience - self.slowdown * min(seconds), 0.0)
        )
        behind = max(len(slacks) - 1, 0) * later.seconds
        slack = self.margin * min(slacks[:1], default=math.inf) + 1e-12

        def worth(index: int) -> float:
            in_time = self.slowdown * seconds[index] <= slack
            added = later.to_be_lost(behind + mean * seconds[index])
            return accuracy[index] * in_time - accuracy[base] * added

        return max(indices, key=lambda i: (worth(i), -seconds[i]))

    def _all_in_time(self, slacks: Sequence[float], seconds: float) -> bool:
        """Whether all that waits is in time, one after the other."""
        one = self.slowdown * seconds
        return all(
            (i + 1) * one <= self.margin * slack + 1e-12
            for i, slack in enumerate(slacks)
        )


def _worthwhile(ladder: Ladder, number: int, rungs: Sequence[int]) -> Sequence[int]:
    """Without those that get less right per second than a slower one.

    In the time that such a rung takes for many, the slower one gets more right by
    answering fewer.
    """
    found, best = [], 0.0
    for rung in sorted(rungs, key=lambda r: -ladder.seconds(r, number)):
        accuracy = ladder.rungs[rung].accuracy
        if accuracy is None:
            return rungs
        pace = accuracy / ladder.seconds(rung, number)
        if pace >= best:
            best = pace
            found.append(rung)
    return sorted(found)


def _highest(will: Sequence[bool], seconds: Sequence[float]) -> int:
    """The last that will do, or the fastest."""
    fits = [index for index, does in enumerate(will) if does]
    return max(fits, default=min(range(len(will)), key=lambda i: seconds[i]))
