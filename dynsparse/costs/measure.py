"""The stopwatch beside the bill."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax


def median_seconds(
    calls: Mapping[str, Callable[[], Any]], *, repeats: int
) -> dict[str, float]:
    """Median wall-clock seconds of each call, measured side by side.

    The calls take turns, so that a machine that slows down slows them all. Each runs
    once before the clock starts; compile before, or that run is all compilation.

    Args:
        calls: Functions without arguments, by name; what they return is waited for.
        repeats: Timed runs of each, at least 1.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        jax.block_until_ready(call())
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}
