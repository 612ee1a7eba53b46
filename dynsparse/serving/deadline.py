"""The signal of requests that must be answered in time."""

import collections
import math
import statistics
from collections.abc import Sequence

from dynsparse.serving.ladder import Ladder
from dynsparse.serving.signals import Allowance, Moment, Signal

_PASSES = 8  # that say how slow the machine is


class Deadline(Signal):
    r"""The rung at which most requests are answered right *and* in time.

    Two choices, of which the first looks ahead and lasts, and the second looks at what
    waits. The first asks what a rung is worth if it stays: its accuracy times the share
    of requests in time when they come as fast as now. With the seconds $s$ of a pass,
    the rate $\lambda$, the load $\rho = \lambda s$ and the variation $c^2$ of passes, a
    request waits longer than $t$ with probability
    $\rho \exp(-2 (1 - \rho) t / (s (1 + c^2)))$ (Kingman, 1962: exact in the mean, for
    Poisson arrivals). The second asks which rung answers most of the waiting requests
    right and in time, one after the other; it comes and goes with every burst, so that
    it binds the request at hand alone.

    Without accuracies, both take the highest rung that will do: one that is able to
    serve requests as fast as they come, and one at which all that waits is in time.

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

    def __init__(self, margin: float = 0.9, busy: float = 1.0, window: float = 1.5):
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
        """The rungs of the first choice, and of both; the fastest where none will do.

        Args:
            ladder: Whose seconds and accuracies count.
            moment: Its `rungs` are those to choose from.
        """
        rungs, rate = moment.choices(ladder), self.rate(moment.now)
        seconds = [ladder.seconds(rung, moment.number) for rung in rungs]
        found = [ladder.rungs[rung].accuracy for rung in rungs]
        accuracy = [share for share in found if share is not None]
        steady = [self._steady(rate, one) for one in seconds]
        now = [self._in_time(moment.slacks, one) for one in seconds]
        if len(accuracy) == len(rungs):
            worth = lambda shares: [
                a * p for a, p in zip(accuracy, shares, strict=True)
            ]
            chosen = [_best(worth(shares), seconds) for shares in (steady, now)]
        else:
            mean = self._mean()
            keeps_up = [rate * mean * one <= self.busy for one in seconds]
            chosen = [
                _highest(will, seconds)
                for will in (keeps_up, [share == 1 for share in now])
            ]
        lasting, at_once = (rungs[index] for index in chosen)
        tightest = 1e3 * min(moment.slacks, default=math.inf)
        return Allowance(
            lasting,
            f"{len(moment.slacks)} waiting, {tightest:.0f} ms left; {rate:.0f} "
            f"requests/s, passes {self._mean():.2f} times as long",
            at_once,
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
        return self.slowdown * min(ladder.seconds(rung, number) for rung in rungs)

    def refused(self):
        """Forgets a little: while all are refused, no pass says that it got better."""
        self._ratios.append(1.0)

    def _mean(self) -> float:
        return max(1.0, statistics.fmean(self._ratios))

    def _forget(self, now: float):
        while self._arrivals and self._arrivals[0] < now - self.window:
            self._arrivals.popleft()

    def _steady(self, rate: float, seconds: float) -> float:
        """Share of the requests in time, if they come and are served like this."""
        mean = self._mean()
        taken = mean * seconds
        load = rate * taken / self.busy
        left = self.margin * self._patience - self.slowdown * seconds
        if load >= 1 or left < 0:
            return 0.0
        variation = statistics.pvariance(self._ratios) / mean**2
        exponent = 2 * (1 - load) * left / max(taken * (1 + variation), 1e-12)
        return 1 - load * math.exp(-exponent)

    def _in_time(self, slacks: Sequence[float], seconds: float) -> float:
        """Share of the waiting requests in time, one after the other."""
        one = self.slowdown * seconds
        met = [
            (i + 1) * one <= self.margin * slack + 1e-12
            for i, slack in enumerate(slacks)
        ]
        return sum(met) / len(met) if met else 1.0


def _best(worth: Sequence[float], seconds: Sequence[float]) -> int:
    """Where the most is, the faster one of equals; the fastest where all is nothing."""
    return max(range(len(worth)), key=lambda i: (worth[i], -seconds[i], -i))


def _highest(will: Sequence[bool], seconds: Sequence[float]) -> int:
    """The last that will do, or the fastest."""
    fits = [index for index, does in enumerate(will) if does]
    return max(fits, default=min(range(len(will)), key=lambda i: seconds[i]))
