"""Replays of a load: a row for each request, and an end however a pass ends."""

import dataclasses
import os
import time

import numpy as np
import pytest

from dynsparse.bench import sources
from dynsparse.bench.policies import replay_policies
from dynsparse.bench.replay import FIELDS, ScoredRequests, replay, summary
from dynsparse.bench.sources import another_process, this_thread
from tests.serving.ladders import Pretended

SECONDS = (0.002, 0.004, 0.010)


def requests(deadline=0.2):
    labels = np.arange(20).reshape(20, 1) % 10
    right = lambda index, outputs: float((outputs.argmax(-1) == labels[index]).mean())
    return ScoredRequests(list(labels), right, 1, deadline)


@pytest.mark.parametrize(
    "source", [this_thread, pytest.param(another_process, marks=pytest.mark.system)]
)
def test_every_request_has_its_row(source):
    times = np.sort(np.random.default_rng(0).uniform(0, 1, 60))
    seen = []
    rows = replay(
        Pretended(SECONDS, time.sleep),
        requests(),
        times,
        source=source,
        watch=seen.append,
    )
    assert len(rows) == len(seen) == 60
    assert all(set(row) == set(FIELDS) for row in rows)
    np.testing.assert_allclose([row["arrival"] for row in rows], times)
    assert all(row["right"] == 1.0 for row in rows if row["rung"] is not None)
    for row in rows:
        assert row["right_in_time"] == (row["right"] if row["in_time"] else 0.0)


def test_a_pinned_replay_stays_on_its_rung():
    rows = replay(Pretended(SECONDS), requests(), np.linspace(0, 0.1, 10), pinned=1)
    assert {(row["policy"], row["rung"]) for row in rows} == {("rung 1", 1)}


def test_a_replay_that_is_stopped_leaves_the_rows_so_far():
    rows = []
    replay(
        Pretended(SECONDS),
        requests(),
        np.linspace(0, 1, 101),
        watch=rows.append,
        stopped=lambda: len(rows) >= 10,
    )
    assert 10 <= len(rows) < 60


def test_in_each_round_another_policy_comes_first():
    rows, ladder = [], Pretended((0.001, 0.002))
    replay_policies(
        ladder,
        requests(),
        load="constant",
        seconds=0.02,
        seed=0,
        rounds=3,
        watch=rows.append,
    )
    order = list(dict.fromkeys((row["round"], row["policy"]) for row in rows))
    names = ["controller", "rung 1", "rung 0"]
    turned = [names[i:] + names[:i] for i in range(3)]
    assert order == [(i, name) for i in range(3) for name in turned[i]]
    for number in range(3):  # the same load for all
        arrivals = {name: [] for name in names}
        for row in rows:
            if row["round"] == number:
                arrivals[row["policy"]].append(row["arrival"])
        assert arrivals["controller"] == arrivals["rung 1"] == arrivals["rung 0"]


def test_a_pass_that_fails_ends_the_replay():
    broken = dataclasses.replace(requests(), inputs=[np.array([99])] * 20)
    with pytest.raises(IndexError):
        replay(Pretended(SECONDS), broken, np.linspace(0, 0.1, 5))


def die(sender, times):
    sender.send((0, time.monotonic()))
    os._exit(1)


@pytest.mark.system
def test_a_sending_process_that_dies_ends_the_replay(monkeypatch):
    monkeypatch.setattr(sources, "send", die)
    arrivals = another_process(np.linspace(0, 1, 10))
    assert next(arrivals)[0] == 0
    with pytest.raises(RuntimeError, match="ended before the last one"):
        next(arrivals)


def test_a_summary_counts_what_arrived_in_its_time():
    row = dict(policy="controller", budget=0.5, reason="")
    rows = [
        row | dict(arrival=0.5, rung=1, seconds=0.01, in_time=True, right=1.0),
        row | dict(arrival=1.0, rung=0, seconds=0.03, in_time=False, right=0.5),
        row | dict(arrival=1.5, rung=None, seconds=None, in_time=False, right=None),
        row | dict(arrival=2.5, rung=1, seconds=0.01, in_time=True, right=1.0),
    ]
    found = summary(rows, 0.0, 2.0)
    assert found["requests"] == 3
    np.testing.assert_allclose(found["in_time"], 1 / 3)
    np.testing.assert_allclose(found["refused"], 1 / 3)
    np.testing.assert_allclose(found["score"], 0.75)
