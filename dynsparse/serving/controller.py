"""Hysteresis, which keeps a runtime from oscillating between rungs."""

import math


class Hysteresis:
    """Follows a signal down at once, and up only after a while.

    Time is an argument, so that tests need no clock. Not thread-safe by itself;
    `Runtime` holds a lock around every call.

    Args:
        hold: Seconds, >= 0 and finite, for which a higher rung must have been allowed
            without a break before it is used.

    Raises:
        ValueError: If `hold` is out of range.

    >>> controller = serving.Hysteresis(hold=1.0)
    >>> [controller.update(float(s), rung) for s, rung in enumerate([0, 2, 2, 1])]
    [0, 0, 2, 1]
    """

    def __init__(self, hold: float = 0.25):
        if not 0 <= hold < math.inf:
            raise ValueError(f"hold must be >= 0 seconds, got {hold}.")
        self.hold = hold
        self.rung: int | None = None
        self._allowed: list[tuple[float, int]] = []  # since `rung` was last the limit

    def update(self, now: float, allowed: int) -> int:
        """Returns the rung to use.

        Args:
            now: Seconds of a monotonic clock.
            allowed: Highest rung that the signal allows now.
        """
        if self.rung is None or allowed <= self.rung:
            self.rung, self._allowed = allowed, []
            return allowed
        self._allowed.append((now, allowed))
        # What was allowed all along the hold, not the best of its moments.
        recent = [entry for entry in self._allowed if entry[0] >= now - self.hold]
        if self._allowed[0][0] <= now - self.hold:
            self.rung = min(rung for _, rung in recent)
            self._allowed = [entry for entry in recent if entry[1] > self.rung]
        return self.rung
