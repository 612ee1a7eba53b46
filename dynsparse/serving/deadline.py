"""The signal of requests that must be answered in time."""

import collections
import math
import statistics

from dynsparse.serving.ladder import Ladder
from dynsparse.serving.signals import Allowance, Moment, Signal

_PASSES = 8  # that say how slow the machine is


class Deadline(Signal):
    """The highest rung at which every waiting request is still answered in time.

    Two conditions, of which the first looks ahead and lasts, and the second looks at
    what waits: a rung has to be able to serve requests as fast as they come; and served
    one after the other, each waiting request has to meet its deadline. The second comes
    and goes with every burst, so that it binds the request at hand alone.

    The times of the ladder are those of an idle machine. Where others take a part of
    it, passes take longer; what the last eight took says by how much. Keeping up is a
    matter of their mean; deadlines, of the longest but one: one stall changes nothing,
    and two slow passes are believed.

    Args:
        margin: Share of the slack that a plan may fill, in (0, 1].
        busy: Share of the time that passes may take, in (0, 1].
        window: Seconds over which arrivals are counted, > 0.

    Raises:
        ValueError: If a value is out of range.
    """

    def __init__(self, margin: float = 0.9, busy: float = 1.0, window: float = 1.5):
        for name, value in (("margin", margin), ("busy", busy)):
            if not 0 < value <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {value}.")
        if not window > 0:
            raise ValueError(f"window must be > 0 seconds, got {window}.")
        self.margin, self.busy, self.window = margin, busy, window
        self._ratios = collections.deque([1.0, 1.0], maxlen=_PASSES)
        self._arrivals: collections.deque[float] = collections.deque()

    def arrived(self, now: float):
        """Notes that a request came."""
        self._arrivals.append(now)

    def rate(self, now: float) -> float:
        """Requests per second, over the window."""
        while self._arrivals and self._arrivals[0] < now - self.window:
            self._arrivals.popleft()
        return len(self._arrivals) / self.window

    def allows(self, ladder: Ladder, moment: Moment) -> Allowance:
        """The highest rungs that meet the first condition, and both, or the lowest."""
        rate, number = self.rate(moment.now), moment.number
        mean = max(1.0, statistics.fmean(self._ratios))
        share = [self.margin * slack / (i + 1) for i, slack in enumerate(moment.slacks)]
        tightest = min(share, default=math.inf)
        seconds = [ladder.seconds(rung, number) for rung in range(len(ladder.rungs))]
        keeps_up = [i for i, s in enumerate(seconds) if rate * mean * s <= self.busy]
        in_time = [i for i, s in enumerate(seconds) if self.slowdown * s <= tightest]
        return Allowance(
            max(keeps_up, default=0),
            f"{len(moment.slacks)} waiting, {1e3 * tightest:.0f} ms for each; "
            f"{rate:.0f} requests/s, passes {mean:.2f} times as long",
            max(in_time, default=0),
        )

    @property
    def slowdown(self) -> float:
        """How many times as long as on the idle machine passes take now."""
        return max(1.0, sorted(self._ratios)[-2])

    def observe(self, predicted: float, seconds: float):
        """Learns from a pass how much slower the machine has become."""
        self._ratios.append(seconds / predicted)

    def least(self, ladder: Ladder, number: int, lowest: int = 0) -> float:
        """Seconds that the lowest rung takes now: who has less left is hopeless."""
        return self.slowdown * ladder.seconds(lowest, number)

    def refused(self):
        """Forgets a little: while all are refused, no pass says that it got better."""
        self._ratios.append(1.0)
