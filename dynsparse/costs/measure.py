"""What has to run to be known: the decisions of a batch, and the time of a call."""

import functools
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Shaped

from dynsparse._internal.structure import Structure
from dynsparse.gates import GateRecord, evaluating, records


def run_gates(
    model: nnx.Module, batch: Shaped[Array, "n *shape"]
) -> dict[str, Float[Array, "n *rows units"]]:
    """Returns the mask of each gated layer for `batch`, without noise."""
    structure, state = Structure.split(evaluating(model, execution="masked"))
    return _decide(structure, state, batch)


@functools.partial(jax.jit, static_argnums=0)
def _decide(structure: Structure, state, batch):
    _, captured = nnx.capture(structure.merge(state), GateRecord)(batch)
    return {name: output.mask for name, output in records(captured).items()}


def peak_bytes(compiled: jax.stages.Compiled) -> int:
    """Most memory that one call needs at a time, its arguments included.

    Args:
        compiled: `jax.jit(function).lower(*args).compile()`, whose own account
            (`memory_analysis`) this is.
    """
    account: Any = compiled.memory_analysis()
    held = account.argument_size_in_bytes + account.output_size_in_bytes
    held += account.temp_size_in_bytes - account.alias_size_in_bytes
    # On the CPU, XLA's own peak leaves out the temporary buffers.
    return int(max(account.peak_memory_in_bytes, held))


def seconds_by_turn(
    calls: Mapping[Any, Callable[[], Any]], *, repeats: int
) -> dict[Any, list[float]]:
    """Wall-clock seconds of each call, turn by turn, measured side by side.

    The calls take turns, so that a machine that slows down slows them all, in an order
    drawn anew each time: what runs before a call leaves it a warm cache or a cold one.
    Each runs once before the clock starts; compile before, or that run is all
    compilation.

    Args:
        calls: Functions without arguments, by name; what they return is waited for.
        repeats: Turns, at least 1.
    """
    seconds: dict[Any, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        jax.block_until_ready(call())
    order, names = random.Random(0), list(calls)
    for _ in range(repeats):
        order.shuffle(names)
        for name in names:
            start = time.perf_counter()
            jax.block_until_ready(calls[name]())
            seconds[name].append(time.perf_counter() - start)
    return seconds


def median_seconds(
    calls: Mapping[Any, Callable[[], Any]], *, repeats: int
) -> dict[Any, float]:
    """Median of `seconds_by_turn` for each call."""
    turns = seconds_by_turn(calls, repeats=repeats)
    return {name: statistics.median(times) for name, times in turns.items()}


def ratio_quartiles(
    times: Sequence[float], others: Sequence[float]
) -> tuple[float, float, float]:
    """Quartiles over the turns of one call's seconds by another's.

    Within a turn the machine is the same for both, so that minutes in which it is
    slower do not count for the one and not for the other.

    Returns:
        The first quartile, the median and the third one.
    """
    ratios = [a / b for a, b in zip(times, others, strict=True)]
    first, median, third = np.percentile(ratios, (25, 50, 75))
    return float(first), float(median), float(third)
