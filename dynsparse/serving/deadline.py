"""Signal of requests that must be answered before a deadline."""

import collections
import dataclasses
import math
import statistics
from collections.abc import Sequence

from dynsparse.serving.impatience import Queue
from dynsparse.serving.ladder import Ladder
from dynsparse.serving.signals import Allowance, Moment, Signal

_PASSES = 8  # latest ones, which say how slow the machine is now


class Deadline(Signal):
    """The rung at which most requests are answered right *and* in time.

    If the accuracies of the rungs are known, a slow rung is worth what it gets right,
    minus what other requests lose because they wait. First the best constant rung is
    found, for requests that keep coming as they do now. Then the next request gets the
    rung that is best if that constant rung serves all later ones: one step of policy
    improvement (Howard, 1960) on the queue of `serving.impatience`. Quiet moments are
    used for more expensive rungs, and a burst is answered by cheaper ones before it has
    become a queue.

    Without accuracies, the lasting rung is the highest that serves requests as fast as
    they come, and the next request gets the highest rung at which every waiting request
    is in time.

    The seconds of a ladder are those of an idle machine. On a shared machine passes
    take longer; the last eight say by what factor. Throughput is planned with the mean
    of those factors and deadlines with the second largest, so that one stall changes
    nothing and two slow passes are believed.

    Args:
        margin: Share of the slack that a plan may fill, in (0, 1].
        busy: Share of the time that passes may take, in (0, 1].
        window: Seconds over which arrivals are counted, > 0 and finite.

    Raises:
        ValueError: If a value is out of range.

    >>> rungs = [serving.Rung(budget=b, seconds={1: b / 100}) for b in (0.25, 0.5, 1.0)]
    >>> ladder, deadline = serving.Ladder(rungs=rungs), serving.Deadline()
    >>> deadline.arrived(now=0.0, seconds=0.03)
    >>> moment = serving.Moment(now=0.0, number=1, slacks=(0.03, 0.03))
    >>> deadline.allows(ladder, moment).lowest
    2
    >>> deadline.observe(predicted=0.01, seconds=0.02)  # the machine is slower
    >>> deadline.observe(predicted=0.01, seconds=0.02)
    >>> deadline.allows(ladder, moment).lowest
    1
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
        self._patience = math.inf  # mean time within which requests must be answered

    def arrived(self, now: float, seconds: float = math.inf):
        """Notes the arrival of a request.

        Args:
            now: Time of arrival, on `time.monotonic()`.
            seconds: Time within which the request must be answered.
        """
        self._forget(now)
        self._arrivals.append(now)
        if math.isfinite(seconds):
            old = self._patience if math.isfinite(self._patience) else seconds
            self._patience = old + (seconds - old) / _PASSES

    def rate(self, now: float) -> float:
        """Returns the number of arrivals per second, over the window."""
        self._forget(now)
        return len(self._arrivals) / self.window

    def allows(self, ladder: Ladder, moment: Moment) -> Allowance:
        """Allows a rung for this request and, without accuracies, a lasting one.

        Args:
            ladder: Ladder with the seconds, and perhaps the accuracies, of its rungs.
            moment: State of the queue.
        """
        rungs = _worthwhile(ladder, moment.number, moment.choices(ladder))
        rate = self.rate(moment.now)
        seconds = [ladder.seconds(rung, moment.number) for rung in rungs]
        found = [ladder.rungs[rung].score for rung in rungs]
        score = [share for share in found if share is not None]
        if len(score) == len(rungs):
            lasting = len(rungs) - 1  # each request is a choice of its own
            at_once = self._improved(rate, moment.slacks, seconds, score)
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
        """Factor by which passes take longer now than on an idle machine, >= 1."""
        return max(1.0, sorted(self._ratios)[-2])

    def observe(self, predicted: float, seconds: float):
        """Learns from a pass how slow the machine is now.

        Args:
            predicted: Seconds that the pass takes on an idle machine.
            seconds: Seconds that it took.
        """
        if predicted > 0:
            self._ratios.append(seconds / predicted)

    def least(self, ladder: Ladder, number: int, rungs: Sequence[int] = (0,)) -> float:
        """Returns the seconds that the fastest rung takes now.

        A request with less time left cannot be answered in time.

        Args:
            ladder: Ladder with the seconds of its rungs.
            number: Number of examples of the request.
            rungs: Rungs that may answer it.
        """
        rungs = _worthwhile(ladder, number, rungs)
        return self.slowdown * min(ladder.seconds(rung, number) for rung in rungs)

    def refused(self):
        """Notes a refusal: forgets a little of how slow the machine was.

        While every request is refused, no pass could say that the machine recovered.
        """
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
        score: Sequence[float],
    ) -> int:
        """Index of the best choice for the first request, given its cost to others."""
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
            for right, queue in zip(score, queues, strict=True)
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
            return score[index] * in_time - score[base] * added

        return max(indices, key=lambda i: (worth(i), -seconds[i]))

    def _all_in_time(self, slacks: Sequence[float], seconds: float) -> bool:
        """Whether all waiting requests are in time, served one after the other."""
        one = self.slowdown * seconds
        return all(
            (i + 1) * one <= self.margin * slack + 1e-12
            for i, slack in enumerate(slacks)
        )


def _worthwhile(ladder: Ladder, number: int, rungs: Sequence[int]) -> Sequence[int]:
    """Drops the rungs that get less right per second than a slower rung.

    In the time in which such a rung answers many requests, the slower one gets more of
    them right by answering fewer.
    """
    found, best = [], 0.0
    for rung in sorted(rungs, key=lambda r: -ladder.seconds(r, number)):
        score = ladder.rungs[rung].score
        if score is None:
            return rungs
        pace = score / ladder.seconds(rung, number)
        if pace >= best:
            best = pace
            found.append(rung)
    return sorted(found)


def _highest(will: Sequence[bool], seconds: Sequence[float]) -> int:
    """Index of the last that will do, or else of the fastest."""
    fits = [index for index, does in enumerate(will) if does]
    return max(fits, default=min(range(len(will)), key=lambda i: seconds[i]))
