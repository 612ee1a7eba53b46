"""Load to try a server with: how many requests when. Imports numpy alone."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

Profile = Callable[[float], float]  # share of the time passed, to load

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
    """Times of a Poisson process with a changing rate, in rising order.

    By thinning (Lewis and Shedler, 1979).

    Args:
        profile: Load by the share of the time that has passed, at least 0.
        capacity: Requests per second at load 1.
        seconds: How long.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    peak = capacity * max(profile(t) for t in np.linspace(0, 1, 1001)[:-1])
    number = rng.poisson(peak * seconds)
    times = np.sort(rng.uniform(0, seconds, number))
    rates = capacity * np.array([profile(t / seconds) for t in times])
    return times[rng.uniform(0, peak, number) < rates]


def send(connection: Any, times: Float[np.ndarray, "n"]):
    """Sends (index, time.monotonic()) into a pipe at each of `times`, then None.

    What another process runs: its clock is that of the receiver.

    Args:
        connection: The end of a `multiprocessing.Pipe`.
        times: Seconds from the first call on, in rising order.
    """
    start = time.monotonic()
    for index, moment in enumerate(times):
        time.sleep(max(start + moment - time.monotonic(), 0))
        connection.send((index, start + float(moment)))
    connection.send(None)
