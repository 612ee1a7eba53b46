"""The stopwatch."""

import time

import jax
import jax.numpy as jnp
import pytest

from dynsparse.costs import (
    median_seconds,
    peak_bytes,
    ratio_quartiles,
)


def test_calls_take_turns_in_changing_order_after_one_warm_up():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "abc"}
    median_seconds(calls, repeats=30)
    rounds = ["".join(order[i : i + 3]) for i in range(0, 93, 3)]
    assert rounds[0] == "abc"
    assert {"".join(sorted(turn)) for turn in rounds} == {"abc"}
    assert len(set(rounds)) == 6


def test_the_median_ignores_a_hiccup():
    delays = iter([0.0, 0.02, 0.5, 0.02])
    seconds = median_seconds(dict(a=lambda: time.sleep(next(delays))), repeats=3)
    assert 0.02 <= seconds["a"] < 0.2


def test_a_ratio_is_that_within_a_turn_however_the_machine_drifts():
    slow = [1.0, 1.0, 1.0, 3.0, 3.0]
    assert ratio_quartiles([0.5 * x for x in slow], slow) == (0.5, 0.5, 0.5)
    _, median, _ = ratio_quartiles([0.5, 0.5, 9.0, 1.5, 1.5], slow)
    assert median == pytest.approx(0.5)


def test_the_peak_holds_what_lies_between_two_products():
    def between(x, width):
        wide = jnp.ones((x.shape[1], width)) * x[0, 0]
        return jnp.tanh(x @ wide) @ wide.T

    x = jax.ShapeDtypeStruct((64, 8), jnp.float32)
    compiled = jax.jit(between, static_argnums=1).lower(x, 4096).compile()
    assert peak_bytes(compiled) >= 64 * 4096 * 4  # its activations


def test_the_spread_of_a_ratio_is_that_of_its_turns():
    times, others = [1.0, 4.0, 3.0, 8.0, 10.0], [1.0, 2.0, 1.0, 2.0, 2.0]
    assert ratio_quartiles(times, others) == (2.0, 3.0, 4.0)
