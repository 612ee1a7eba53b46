"""What a machine or a person allows: one signal at a time, and the strictest."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from dynsparse.serving import (
    CpuShare,
    FreeMemory,
    Lowest,
    Manual,
    Moment,
    Pinned,
    QueueLength,
    machine,
)
from tests.serving.ladders import Pretended

SECONDS = (0.005, 0.010, 0.020)
NOW = Moment(0.0, 1)


@pytest.mark.parametrize(("budget", "rung"), [(1.0, 2), (0.9, 1), (0.34, 0), (0.01, 0)])
def test_a_budget_set_by_hand_is_kept(budget, rung):
    manual = Manual()
    assert manual.allows(Pretended(SECONDS), NOW).rung == 2
    manual.budget = budget
    allowance = manual.allows(Pretended(SECONDS), NOW)
    assert allowance.rung == rung
    assert f"{budget:g}" in allowance.reason


@pytest.mark.parametrize(("free", "rung"), [(9, 2), (7.5, 1), (6.5, 0), (0, 0)])
def test_a_pass_fits_beside_the_reserve(free, rung):
    memory = FreeMemory(reserve=5_000_000, read=lambda: int(free * 1e6))
    assert memory.allows(Pretended(SECONDS), NOW).rung == rung


@pytest.mark.parametrize(("others", "rung"), [(0.0, 2), (0.2, 1), (0.5, 0), (1.0, 0)])
def test_others_keep_their_share_of_the_processor(others, rung):
    share = CpuShare(read=lambda: others)
    assert share.allows(Pretended(SECONDS), NOW).rung == rung


def test_the_processor_is_not_asked_at_every_request():
    asked = []
    share = CpuShare(period=1.0, read=lambda: asked.append(1) or 0.0)
    for now in np.arange(10.0, 13.0, 0.1):
        share.allows(Pretended(SECONDS), Moment(now, 1))
    assert 3 <= len(asked) <= 4


@pytest.mark.parametrize(
    ("waiting", "rung"), [(0, 2), (3, 2), (4, 1), (7, 1), (8, 0), (99, 0)]
)
def test_a_long_queue_gets_cheaper_passes(waiting, rung):
    queue = QueueLength(lambda: waiting, limit=8)
    assert queue.allows(Pretended(SECONDS), NOW).rung == rung


def test_the_strictest_of_several_signals_decides():
    both = Lowest(Manual(0.7), Pinned(0), Manual(1.0))
    assert both.allows(Pretended(SECONDS), NOW) == (0, "pinned", 0)


def test_the_share_of_others_is_the_same_from_any_thread(monkeypatch):
    """Of two cores in two seconds: idle 1 s, this process 2 s, others 1 s."""
    clock, idle, own = [0.0], [10.0], [5.0]
    times = SimpleNamespace(
        monotonic=lambda: clock[0],
        cpu_times=lambda: SimpleNamespace(idle=idle[0]),
        cpu_count=lambda: 2,
        Process=lambda: SimpleNamespace(cpu_times=lambda: (own[0], 0.0)),
    )
    monkeypatch.setattr(machine, "psutil", times)
    monkeypatch.setattr(machine, "time", times)
    share, found = CpuShare(period=1.0), []
    clock[0], idle[0], own[0] = 2.0, 11.0, 7.0
    look = lambda: found.append(share.allows(Pretended(SECONDS), Moment(2.0, 1)))
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found[0].reason == "75% of the processor left by others"
