"""Down at once, up after a while: what keeps a runtime from oscillating."""

import math


class Hysteresis:
    """Follows what a signal allows: down at once, up when it has lasted.

    Time is an argument, so that a test needs no clock. Not thread-safe by itself;
    `Runtime` holds a lock around it.

    Args:
        hold: Seconds for which more must have been allowed without a break, >= 0 and
            finite.

    Raises:
        ValueError: If `hold` is out of range.
    """

    def __init__(self, hold: float = 0.25):
        if not 0 <= hold < math.inf:
            raise ValueError(f"hold must be >= 0 seconds, got {hold}.")
        self.hold = hold
        self.rung: int | None = None
        self._allowed: list[tuple[float, int]] = []  # since it was last the rung itself

    def update(self, now: float, allowed: int) -> int:
        """Returns the rung to use.

        Args:
            now: Seconds, of any clock that does not go back.
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
