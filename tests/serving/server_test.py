"""Real time: every request is answered or refused, from any thread or process."""

import multiprocessing
import threading
import time

import numpy as np
import pytest

from dynsparse.serving import (
    CpuShare,
    Deadline,
    Lowest,
    Manual,
    Moment,
    Refused,
    Runtime,
    Server,
)
from tests.serving.ladders import Pretended, compiled, images

SECONDS = (0.002, 0.004, 0.010)


def test_answers_say_their_rung_and_why():
    runtime = Runtime(compiled(), Manual(0.7))
    answer = runtime.predict(images(2))
    assert answer.rung == 1
    assert answer.reason == "budget set to 0.7"
    assert answer.seconds > 0
    np.testing.assert_array_equal(answer.output, compiled()(1, images(2)))


def test_many_threads_get_their_own_answers():
    runtime, wrong = Runtime(compiled(), Manual()), []

    def ask(seed):
        x = images(3, seed=seed)
        expected = compiled()(2, x)
        for _ in range(20):
            if not np.array_equal(runtime.predict(x).output, expected):
                wrong.append(seed)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_what_cannot_be_met_is_refused_with_the_reason():
    deadline = Deadline()
    with Server(Runtime(Pretended(SECONDS), deadline), deadline=deadline) as server:
        future = server.submit(np.array([1]), 0.001)
        with pytest.raises(Refused, match="ms left, which no rung can meet"):
            future.result(timeout=5)


def test_a_full_queue_refuses_and_a_closed_server_too():
    gate, deadline = threading.Event(), Deadline()
    ladder = Pretended(SECONDS, lambda _: gate.wait(5))
    server = Server(Runtime(ladder, deadline), deadline=deadline, limit=2)
    first = server.submit(np.array([1]), 10.0)
    while len(server):
        time.sleep(0.001)
    waiting = [server.submit(np.array([1]), 10.0) for _ in range(3)]
    with pytest.raises(Refused, match=r"the queue is full \(2 requests\)"):
        waiting[2].result(timeout=5)
    gate.set()
    server.close()  # answers what waits
    assert [f.result(timeout=0).rung for f in (first, *waiting[:2])]
    with pytest.raises(Refused, match="the server is closed"):
        server.submit(np.array([1]), 10.0).result(timeout=0)


def test_a_stop_refuses_what_waits():
    begun, gate, deadline = threading.Event(), threading.Event(), Deadline()
    ladder = Pretended(SECONDS, lambda _: (begun.set(), gate.wait(5)))
    server = Server(Runtime(ladder, deadline), deadline=deadline)
    first = server.submit(np.array([1]), 10.0)
    waiting = server.submit(np.array([1]), 10.0)
    waiting.add_done_callback(lambda _: gate.set())
    begun.wait(5)
    server.__exit__(KeyboardInterrupt)
    assert first.result(timeout=0).rung is not None
    with pytest.raises(Refused, match="the server is closed"):
        waiting.result(timeout=0)


def test_an_error_is_the_callers_and_the_server_goes_on():
    deadline = Deadline()
    with Server(Runtime(Pretended(SECONDS), deadline), deadline=deadline) as server:
        broken = server.submit(np.array([99]), 1.0)
        with pytest.raises(IndexError):
            broken.result(timeout=5)
        assert server.submit(np.array([3]), 1.0).result(timeout=5).output.argmax() == 3


def test_a_request_that_was_cancelled_costs_the_others_nothing():
    gate, deadline = threading.Event(), Deadline()
    ladder = Pretended(SECONDS, lambda _: gate.wait(5))
    with Server(Runtime(ladder, deadline), deadline=deadline) as server:
        server.submit(np.array([1]), 10.0)
        while len(server):
            time.sleep(0.001)
        cancelled = server.submit(np.array([1]), 10.0)
        last = server.submit(np.array([2]), 10.0)
        assert cancelled.cancel()
        gate.set()
        assert last.result(timeout=5).output.argmax() == 2


def test_nobody_hurries_for_what_will_be_refused():
    seen = []

    class Noting(Deadline):
        def allows(self, ladder, moment):
            seen.append(len(moment.slacks))
            return super().allows(ladder, moment)

    deadline, gate = Noting(), threading.Event()
    ladder = Pretended(SECONDS, lambda _: gate.wait(5))
    with Server(Runtime(ladder, deadline), deadline=deadline) as server:
        server.submit(np.array([1]), 10.0)
        while len(server):
            time.sleep(0.001)
        patient = server.submit(np.array([1]), 10.0)
        hopeless = server.submit(np.array([1]), 1e-6)
        server.submit(np.array([1]), 10.0).cancel()
        gate.set()
        assert patient.result(timeout=5).rung is not None
        with pytest.raises(Refused):
            hopeless.result(timeout=5)
    assert seen == [1, 1]  # the first, alone then; the patient one


def burn(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@pytest.mark.system
def test_a_process_that_burns_a_core_is_seen_and_given_way():
    """The signal is psutil's own; two processes, in case there are many cores."""
    share = CpuShare(period=0.3)
    runtime = Runtime(compiled(), Lowest(Manual(), share))
    time.sleep(0.4)
    runtime.predict(images(2))
    context = multiprocessing.get_context("spawn")
    cores = multiprocessing.cpu_count()
    others = [
        context.Process(target=burn, args=(6.0,), daemon=True)
        for _ in range(max(1, cores // 2))
    ]
    for other in others:
        other.start()
    end, seen = time.monotonic() + 5, []
    while time.monotonic() < end and not (seen and seen[-1] < 2):
        time.sleep(0.35)
        seen.append(runtime.predict(images(2)).rung)
    for other in others:
        other.terminate()
        other.join()
    assert seen[-1] < 2
    allowed = share.allows(compiled(), Moment(time.monotonic(), 2))
    assert "of the processor left by others" in allowed.reason
