r"""Queueing theory of impatient requests, which are lost once they waited too long.

Requests come at random, one server answers them in the order of arrival, and those that
would wait longer than a patience $D$ are not answered. The waiting work is a random
walk: it grows by one pass with every request and shrinks with time. The probability
that it exceeds a bound falls exponentially with the bound, at the rate $\theta$ at
which $e^{\theta \cdot \mathrm{work}}$ keeps its mean (the adjustment coefficient of
Cramér, 1930): for passes of mean $s$, gamma distributed with the squared coefficient of
variation $c^2$, and the load $\rho$, $\theta$ is the root other than 0 of

$$\rho \left((1 - c^2 s \theta)^{-1 / c^2} - 1\right) = s \theta.$$

The formulas are exact for Poisson arrivals and exponential passes ($c^2 = 1$, Barrer,
1957, Operations Research 5(5), 650-656), and without patience ($D = 0$) for passes of
any distribution.
"""

import dataclasses
import functools
import math

_FAR = 30.0  # passes: exp(-30) of the requests is none
_LEVEL = 1e-5  # distance from a singularity within which a series is used
_STEPS = 60  # Newton steps, from the side where they cannot overshoot


@dataclasses.dataclass(frozen=True)
class Queue:
    """Steady state of a server whose passes all take about as long.

    Attributes:
        load: Share of the time that passes would take if no request were lost, >= 0.
        seconds: Mean duration of a pass, > 0.
        patience: Seconds that a request may wait, >= 0.
        variation: Squared coefficient of variation of the passes, >= 0.
    """

    load: float
    seconds: float
    patience: float
    variation: float = 0.0

    @functools.cached_property
    def exponent(self) -> float:
        r"""$\theta$, per second of waiting work; negative for a load above 1."""
        return _root(self.load, self.variation) / self.seconds

    def lost(self) -> float:
        r"""Returns the share of the requests that is not answered, in [0, 1].

        $\rho (1 - \rho) E / (1 - \rho^2 E)$ with $E = \exp(-\theta D)$.
        """
        load, run = self.load, self.exponent * self.patience
        if abs(1 - load) < _LEVEL:
            spread = self.seconds * (1 + self.variation)
            return 1 / (2 + 2 * self.patience / spread)
        if run < -500:  # overloaded: the server is always busy
            return 1 - 1 / load
        left = math.exp(-run)
        return load * (1 - load) * left / (1 - load**2 * left)

    def to_be_lost(self, work: float) -> float:
        r"""Returns how many more requests are lost because of work that waits.

        This is the relative value of the walk: its slope is $1 / s$ times the
        probability that the work reaches $D$ before it is done,
        $(e^{\theta w} - 1) / (e^{\theta D} - 1)$; 1 beyond $D$.

        Args:
            work: Seconds of waiting passes, >= 0.
        """
        inside, whole = min(work, self.patience), self.exponent * self.patience
        beyond = work - inside
        if whole > 500:
            reached = 0.0
        elif abs(whole) < _LEVEL:
            reached = inside**2 / (2 * self.patience) if self.patience else 0.0
        else:
            grown = math.expm1(self.exponent * inside) / self.exponent - inside
            reached = grown / math.expm1(whole)
        return (reached + beyond) / self.seconds


def _root(load: float, variation: float) -> float:
    r"""Returns $s \theta$, at most `_FAR`."""
    if abs(1 - load) < _LEVEL:
        return 2 * (1 - load) / (1 + variation)
    if load > 1:
        x = -load  # like every start: the left side is above the right one
    else:
        pole = (1 - 1e-9) / variation if variation else math.inf
        x = min(2 * (1 - load) / load if load else math.inf, pole, _FAR)
    for _ in range(_STEPS):
        # The moment generating function of a pass of mean 1, and its slope.
        inner = 1 - variation * x
        grown = math.exp(-math.log(inner) / variation if variation > 1e-9 else x)
        gap = load * (grown - 1) - x
        if gap <= 1e-12 * abs(x):  # or the root is beyond `_FAR`
            break
        x -= gap / (load * grown / inner - 1)
    return x
