"""Deadlines and hysteresis in virtual time: a simulated server, no sleeping."""

import collections
import functools

import numpy as np
import pytest

from dynsparse.bench.arrivals import PROFILES, arrivals
from dynsparse.serving import Deadline, Hysteresis, Moment, QueueLength
from tests.sampled import sampled, unless
from tests.serving.ladders import Pretended

SECONDS = (0.005, 0.010, 0.020)
full = functools.partial(pytest.param, marks=unless(False))


def simulate(
    times,
    *,
    seconds=SECONDS,
    score=None,
    slowdown=lambda now: 1.0,
    hold=0.25,
    pinned=None,
    rungs=(0,),
    jitter=0.05,
):
    """Serves requests as `Server` does, by a clock of its own.

    Hopeless is what not even the fastest of `rungs` answers in time.
    """
    ladder, deadline = Pretended(seconds, score=score), 3 * seconds[-1]
    signal, controller = Deadline(), Hysteresis(hold)
    rng, waiting, rows = np.random.default_rng(0), collections.deque(), []
    now, coming = 0.0, collections.deque(map(float, times))
    while coming or waiting:
        if not waiting:
            now = max(now, coming[0])
        while coming and coming[0] <= now:
            signal.arrived(coming[0], deadline)
            waiting.append(coming.popleft())
        arrival = waiting[0]
        slacks = [a + deadline - now for a in waiting]
        waiting.popleft()
        least = signal.least(ladder, 1, rungs)
        if least > slacks[0]:
            signal.refused()
            rows.append((arrival, None, False))
            continue
        if pinned is None:
            hopeful = [slack for slack in slacks if least <= slack]
            allowed = signal.allows(ladder, Moment(now, 1, hopeful))
            rung = min(controller.update(now, allowed.rung), allowed.lowest)
        else:
            rung = pinned
        taken = seconds[rung] * slowdown(now) * (1 + jitter * rng.uniform())
        signal.observe(seconds[rung], taken)
        now += taken
        rows.append((arrival, rung, now - arrival <= deadline))
    return rows


def in_time(rows, start=0.0, end=np.inf):
    return np.mean([row[2] for row in rows if start <= row[0] < end])


def load(name, seconds=30.0, seed=0):
    return arrivals(
        PROFILES[name], capacity=1 / SECONDS[-1], seconds=seconds, seed=seed
    )


@pytest.mark.parametrize("seed", sampled(range(5), [0]))
def test_a_spike_of_twice_the_capacity_is_answered_in_time(seed):
    times = load("spike", seed=seed)
    rows = simulate(times)
    assert len(rows) == len(times)
    assert in_time(rows, 10, 20) >= 0.95
    assert in_time(rows, 22) >= 0.99
    assert in_time(simulate(times, pinned=2), 10, 20) < 0.3


@pytest.mark.parametrize("seed", sampled(range(5), [0]))
def test_the_top_is_back_within_two_seconds_of_a_spike(seed):
    after = [
        rung for arrival, rung, _ in simulate(load("spike", seed=seed)) if arrival > 22
    ]
    assert np.mean([rung == 2 for rung in after]) > 0.75
    first = next(
        a for a, rung, _ in simulate(load("spike", seed=seed)) if a > 20 and rung == 2
    )
    assert first < 22


@pytest.mark.parametrize("slowdown", [1.5, 2.5])
def test_deadlines_hold_again_within_a_second_of_competition(slowdown):
    times = np.arange(0, 20, 0.03)
    rows = simulate(times, slowdown=lambda now: slowdown if now > 5 else 1.0)
    assert in_time(rows, 6) == 1.0
    assert {rung for arrival, rung, _ in rows if 1 < arrival < 5} == {2}


@pytest.mark.parametrize(
    "stall",
    [
        lambda now: 200.0 if 10 <= now < 10.1 else 1.0,  # one pass, of seconds
        lambda now: 30.0 if 10 <= now < 12 else 1.0,  # all of two seconds
    ],
)
def test_after_a_stall_requests_are_answered_again(stall):
    rows = simulate(load("constant", seconds=30.0), slowdown=stall)
    assert in_time(rows, end=9.0) == 1
    assert in_time(rows, start=16.0) >= 0.99


@pytest.mark.parametrize("interval", [0.012, 0.022, 0.03])
def test_a_constant_load_makes_no_oscillation(interval):
    rungs = [
        rung for arrival, rung, _ in simulate(np.arange(0, 20, interval)) if arrival > 2
    ]
    assert np.count_nonzero(np.diff(rungs)) <= 2


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("slowdown", sampled([1.0, 2.0], [2.0]))
@pytest.mark.parametrize(
    ("seconds", "score"),
    [
        ((0.005, 0.010, 0.020), (0.80, 0.90, 0.95)),
        full((0.0022, 0.0024, 0.0028, 0.0042), (0.867, 0.924, 0.933, 0.935)),
        full((0.010, 0.012), (0.10, 0.95)),
    ],
)
def test_no_single_rung_gets_more_right_in_time(
    name, slowdown, seconds, score, as_users_call
):
    """600 full passes, the machine slow for a third of the time."""
    end = 600 * seconds[-1]
    times = arrivals(PROFILES[name], capacity=1 / seconds[-1], seconds=end, seed=0)

    def right_in_time(pinned):
        rows = simulate(
            times,
            seconds=seconds,
            score=score,
            pinned=pinned,
            rungs=range(len(seconds)) if pinned is None else (pinned,),
            slowdown=lambda now: slowdown if 0.2 < now / end < 0.5 else 1.0,
            jitter=0.3,
        )
        return np.mean([hit and score[rung] for _, rung, hit in rows])

    rungs = [right_in_time(rung) for rung in range(len(seconds))]
    assert right_in_time(None) >= max(rungs) - 0.005


def test_a_rung_may_be_slower_than_the_next_one():
    """As two that are alike may be measured: the request decides, by itself."""
    ladder = Pretended((0.004, 0.002), score=(0.9, 0.8))
    allowed = Deadline().allows(ladder, Moment(0.0, 1, (9.0,)))
    assert (allowed.rung, allowed.at_once) == (1, 0)


def test_up_only_when_it_was_allowed_all_along():
    controller = Hysteresis(hold=1.0)
    moments = [(0.0, 0), (0.1, 2), (0.6, 1), (1.0, 2), (1.2, 2), (1.7, 2), (2.1, 2)]
    found = [controller.update(now, allowed) for now, allowed in moments]
    assert found == [0, 0, 0, 0, 1, 1, 2]


def test_down_at_once():
    controller = Hysteresis(hold=100.0)
    assert [controller.update(t, r) for t, r in ((0.0, 2), (1.0, 0), (2.0, 2))] == [
        2,
        0,
        0,
    ]


@pytest.mark.parametrize(
    ("slacks", "rung"),
    [
        ((0.026,), 2),
        ((0.024,), 1),
        ((0.026, 0.049), 1),
        ((0.1, 0.1, 0.1), 2),
        ((0.0,), 0),
    ],
)
def test_every_waiting_request_has_to_meet_its_deadline(slacks, rung):
    allowed = Deadline(margin=0.8).allows(Pretended(SECONDS), Moment(0.0, 1, slacks))
    assert allowed.lowest == rung
    assert allowed.rung == 2  # for this request alone


@pytest.mark.parametrize(
    ("rate", "rung"), [(40, 2), (50, 1), (80, 1), (90, 0), (500, 0)]
)
def test_a_rung_has_to_keep_up_with_arrivals(rate, rung):
    signal = Deadline(busy=0.85, window=1.0)
    for index in range(rate):
        signal.arrived(index / rate)
    assert signal.allows(Pretended(SECONDS), Moment(0.999, 1, (9.0,))).rung == rung


def test_passes_that_take_longer_are_planned_for():
    signal, ladder = Deadline(), Pretended(SECONDS)
    for _ in range(20):
        signal.observe(0.02, 0.04)
    assert 1.9 < signal.slowdown <= 2.0
    assert signal.allows(ladder, Moment(0.0, 1, (0.026,))).lowest == 1
    assert signal.least(ladder, 1) > 0.009
    for _ in range(100):
        signal.observe(0.02, 0.01)
    assert signal.slowdown == 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Hysteresis(-1.0), "hold must be >= 0 seconds, got -1.0"),
        (lambda: Deadline(margin=0.0), r"margin must be in \(0, 1\], got 0.0"),
        (lambda: Deadline(busy=2.0), r"busy must be in \(0, 1\], got 2.0"),
        (lambda: Deadline(window=0.0), "window must be > 0 seconds, got 0.0"),
        (lambda: QueueLength(len, limit=0), "limit must be at least 1 request, got 0"),
    ],
)
def test_values_out_of_range_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
