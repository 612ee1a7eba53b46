"""The stopwatch."""

import time

from dynsparse.costs import median_seconds


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
