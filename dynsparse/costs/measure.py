"""Measurements: decisions of a batch, time and peak memory of a call."""

import functools
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from dynsparse._internal.call import Call, call
from dynsparse._internal.structure import Structure
from dynsparse.gates import capture, evaluating, records


def run_gates(
    model: nnx.Module, /, *args: Any, **kwargs: Any
) -> dict[str, Float[Array, "n *rows units"]]:
    """Returns the mask of each gated layer for a batch, by path, without noise.

    Args:
        model: Any model with gated layers.
        *args: Arguments of the model: a batch, and whatever else it is called with, or
            one `dynsparse.call`.
        **kwargs: Its keyword arguments.

    >>> rngs = nnx.Rngs(0, gate=1)
    >>> mlp = layers.Mlp.create(width=4, hidden=8, rngs=rngs)
    >>> gate = dict(name="hard_topk", density=0.5)
    >>> model = layers.gated(
    ...     mlp, granularity="width", num_slices=4, gate=gate, rngs=rngs
    ... )
    >>> [mask.tolist() for mask in costs.run_gates(model, jnp.ones((1, 3, 4))).values()]
    [[[1.0, 1.0, 0.0, 0.0]]]
    """
    structure, state = Structure.split(evaluating(model, execution="masked"))
    return _decide(structure, state, call(*args, **kwargs))


@functools.partial(jax.jit, static_argnums=0)
def _decide(structure: Structure, state, asked: Call):
    _, captured = asked(capture(structure.merge(state)))
    return {name: output.mask for name, output in records(captured).items()}


def peak_bytes(compiled: jax.stages.Compiled) -> int:
    """Returns the peak memory of one call in bytes, its arguments included.

    Args:
        compiled: `jax.jit(function).lower(*args).compile()`; the number comes from its
            `memory_analysis`.

    >>> x = jnp.ones((4, 8))
    >>> compiled = jax.jit(lambda x: 2 * x).lower(x).compile()
    >>> costs.peak_bytes(compiled) >= 2 * x.nbytes
    True
    """
    account: Any = compiled.memory_analysis()
    held = account.argument_size_in_bytes + account.output_size_in_bytes
    held += account.temp_size_in_bytes - account.alias_size_in_bytes
    # On the CPU, XLA's own peak leaves temporary buffers out.
    return int(max(account.peak_memory_in_bytes, held))


def seconds_by_turn(
    calls: Mapping[Any, Callable[[], Any]], *, repeats: int
) -> dict[Any, list[float]]:
    """Returns wall-clock seconds of each call, turn by turn, measured side by side.

    The calls take turns, so that a machine that becomes slower slows all of them. Each
    turn has a random order, since a call finds the caches that the one before it left.
    Every call runs once before the clock starts.

    Args:
        calls: Functions without arguments, by name; their results are waited for.
        repeats: Number of turns, at least 1.

    >>> seconds = costs.seconds_by_turn(dict(a=lambda: None, b=lambda: None), repeats=3)
    >>> {name: len(times) for name, times in seconds.items()}
    {'a': 3, 'b': 3}
    """
    seconds: dict[Any, list[float]] = {name: [] for name in calls}
    for run in calls.values():
        jax.block_until_ready(run())
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
    """Returns the median of `seconds_by_turn` for each call.

    Args:
        calls: As in `seconds_by_turn`.
        repeats: Number of turns, at least 1.

    >>> costs.median_seconds(dict(sum=lambda: sum(range(9))), repeats=3)["sum"] > 0
    True
    """
    turns = seconds_by_turn(calls, repeats=repeats)
    return {name: statistics.median(times) for name, times in turns.items()}


def ratio_quartiles(
    times: Sequence[float], others: Sequence[float]
) -> tuple[float, float, float]:
    """Returns quartiles, over the turns, of the time ratio of two calls.

    The ratio is taken within each turn, so that a machine that is slow for a while
    slows both calls alike.

    Args:
        times: Seconds of one call by turn, from `seconds_by_turn`.
        others: Seconds of the other call by turn.

    Returns:
        First quartile, median and third quartile of `times` / `others`.

    >>> costs.ratio_quartiles([1.0, 2.0, 30.0], [2.0, 4.0, 20.0])
    (0.5, 0.5, 1.0)
    """
    ratios = [a / b for a, b in zip(times, others, strict=True)]
    first, median, third = np.percentile(ratios, (25, 50, 75))
    return float(first), float(median), float(third)
