"""Load profiles, and the arrival times of requests that follow one."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

Profile = Callable[[float], float]  # fraction of the duration that passed, to load

# Load 1 is what the full model can just serve; a spike lasts the middle third.
PROFILES: dict[str, Profile] = {
    "constant": lambda t: 0.5,
    "ramp": lambda t: 2.0 * t,
    "spike": lambda t: 2.0 if 1 / 3 <= t < 2 / 3 else 0.4,
    "sine": lambda t: 1.0 - 0.8 * float(np.cos(2 * np.pi * t)),
}


def arrivals(
    profile: Profile, *, capacity: float, seconds: float, seed: int
) -> Float[np.ndarray, "n"]:
    """Draws the times of a Poisson process whose rate follows a load profile.

    By thinning (Lewis and Shedler, 1979).

    Args:
        profile: Load, at least 0, by the fraction of the duration that has passed.
        capacity: Requests per second at load 1.
        seconds: Duration.
        seed: Seed of the draws.

    Returns:
        Seconds from the start, in rising order.

    >>> from dynsparse.bench.arrivals import PROFILES, arrivals
    >>> times = arrivals(PROFILES["spike"], capacity=100.0, seconds=3.0, seed=0)
    >>> bool(((times > 1) & (times < 2)).sum() > (times < 1).sum())
    True
    """
    rng = np.random.default_rng(seed)
    peak = capacity * max(profile(t) for t in np.linspace(0, 1, 1001)[:-1])
    number = rng.poisson(peak * seconds)
    times = np.sort(rng.uniform(0, seconds, number))
    rates = capacity * np.array([profile(t / seconds) for t in times])
    return times[rng.uniform(0, peak, number) < rates]
