"""Whatever is asked, and whatever fails, every future ends and the server goes on."""

import concurrent.futures
import threading
import time
from fractions import Fraction

import jaxtyping
import numpy as np
import pytest

import dynsparse
from dynsparse.serving import (
    Deadline,
    Ladder,
    Manual,
    Pinned,
    Refused,
    Runtime,
    Server,
    Signal,
)
from dynsparse.serving.requests import Requests
from tests.serving.ladders import Pretended

SECONDS = (0.0005, 0.001, 0.002)
FINE = np.array([3], np.float32)


@pytest.fixture(autouse=True)
def as_outside_of_tests():
    """Nothing checks the types of arguments there."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


class Typed(Pretended):
    """Takes float32 scalars alone, as a compiled ladder takes its type alone."""

    def __init__(self, sleep=None):
        super().__init__(SECONDS, sleep)
        self.requests = Requests.like(dynsparse.call(FINE))


class Failing(Signal):
    def __init__(self, error):
        self.error = error

    def allows(self, ladder, moment):
        if isinstance(self.error, BaseException):
            raise self.error
        return self.error


class Exiting(Deadline):
    def least(self, ladder, number, rungs=(0,)):
        raise SystemExit(3)


def ended(futures):
    done, _ = concurrent.futures.wait(futures, timeout=10)
    return len(done) == len(futures)


def goes_on(server):
    return server.submit(FINE, 5.0).result(timeout=5).output.argmax() == 3


@pytest.mark.parametrize(
    "seconds",
    [
        np.array([1.0, 2.0]),
        np.array(1.0),
        1 + 1j,
        float("nan"),
        "1",
        None,
        [1.0],
        b"1",
        object(),
        -1.0,
        -float("inf"),
        float("inf"),
        10**400,
        Fraction(5),
        np.float32(5),
        True,
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_deadline_ends_its_request_alone(seconds):
    deadline = Deadline()
    with Server(Runtime(Typed(), deadline), deadline=deadline) as server:
        odd = [server.submit(FINE, seconds), server.submit(FINE, 5.0, since=seconds)]
        even = server.submit(FINE, 5.0)
        assert ended([*odd, even])
        assert even.result().output.argmax() == 3
        assert goes_on(server)


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((0,), np.float32),
        np.float32(1),
        np.array([3]),
        np.array([3.0]),
        np.array([[3.0]], np.float32),
        np.array(["3"]),
        np.array([None]),
        np.array([3 + 0j]),
        [[1.0], [1.0, 2.0]],
        "three",
        None,
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_examples_of_another_kind_are_refused_in_words(x):
    deadline = Deadline()
    with Server(Runtime(Typed(), deadline), deadline=deadline) as server:
        future = server.submit(x, 5.0)
        with pytest.raises(ValueError, match="example"):
            future.result(timeout=5)
        assert goes_on(server)


def test_the_order_of_bytes_changes_no_answer():
    x = np.array([7], ">f4")
    deadline = Deadline()
    with Server(Runtime(Typed(), deadline), deadline=deadline) as server:
        assert server.submit(x, 5.0).result(timeout=5).output.argmax() == 7
    assert Typed().checked(x).args[0].dtype.isnative


@pytest.mark.parametrize(
    "odd",
    [
        ValueError("x"),
        SystemExit(1),
        KeyboardInterrupt(),
        GeneratorExit(),
        None,
        (float("nan"), "", None),
        ("high", "", None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_signal_that_fails_is_the_error_of_its_request(odd):
    signal = Failing(odd)
    with Server(Runtime(Typed(), signal), deadline=Deadline()) as server:
        futures = [server.submit(FINE, 5.0) for _ in range(5)]
        assert ended(futures)
        assert all(isinstance(future.exception(), Exception) for future in futures)
        signal.error = Manual().allows(Typed(), None)
        assert goes_on(server)


def test_a_deadline_that_exits_ends_no_server():
    with Server(Runtime(Typed(), Manual()), deadline=Exiting()) as server:
        futures = [server.submit(FINE, 5.0) for _ in range(5)]
        assert ended(futures)
        assert "SystemExit" in str(futures[0].exception())


@pytest.mark.parametrize("rung", [0, 1, 2, 7, np.int64(1)])
def test_any_rung_that_a_signal_names_is_answered(rung):
    with Server(Runtime(Typed(), Pinned(rung)), deadline=Deadline()) as server:
        answer = server.submit(FINE, 5.0).result(timeout=5)
    assert answer.rung == min(rung, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pinned(-1), "rung must be an index of at least 0, got -1"),
        (lambda: Pinned(1.5), "got 1.5"),
        (lambda: Runtime(Typed(), Manual(), rungs=(3,)), r"0 to 2, got \(3,\)"),
        (lambda: Runtime(Typed(), Manual(), rungs=()), r"0 to 2, got \(\)"),
        (lambda: Runtime(Typed(), Manual(), rungs=(0.5,)), r"got \(0.5,\)"),
        (lambda: server_of(limit=0), "limit must be at least 1 request, got 0"),
        (lambda: server_of(limit=float("nan")), "got nan"),
        (lambda: server_of(limit="9"), "got '9'"),
    ],
)
def test_odd_settings_are_refused_when_they_are_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def server_of(**settings):
    return Server(Runtime(Typed(), Manual()), deadline=Deadline(), **settings)


def test_callers_who_gave_up_keep_no_place_in_the_queue():
    gate = threading.Event()
    ladder = Typed(lambda _: gate.wait(5))
    with Server(Runtime(ladder, Manual()), deadline=Deadline(), limit=2) as server:
        first = server.submit(FINE, 10.0)
        while len(server):
            time.sleep(0.001)
        gone = [server.submit(FINE, 10.0) for _ in range(2)]
        assert all(future.cancel() for future in gone)
        assert len(server) == 0
        last = server.submit(FINE, 10.0)
        gate.set()
        assert ended([first, last, *gone])
        assert last.result().rung == 2


def test_what_a_caller_does_with_its_future_ends_no_server():
    gate = threading.Event()
    ladder = Typed(lambda _: gate.wait(5))

    def leave(future):
        raise SystemExit

    with Server(Runtime(ladder, Manual()), deadline=Deadline()) as server:
        server.submit(FINE, 5.0).add_done_callback(leave)
        settled = server.submit(FINE, 5.0)
        settled.set_result(None)
        closing = server.submit(FINE, 5.0)
        closing.add_done_callback(lambda _: server.close(answer=False))
        after = server.submit(FINE, 5.0)
        gate.set()
        assert ended([settled, closing, after])
        assert closing.result().rung == 2
        assert isinstance(after.exception(), Refused)
        with pytest.raises(Refused, match="closed"):
            server.submit(FINE, 5.0).result(timeout=5)


def test_arrivals_are_forgotten_whatever_the_signal():
    deadline = Deadline(window=0.01)
    for index in range(10_000):
        deadline.arrived(0.001 * index)
    assert len(deadline._arrivals) <= 11


def test_requests_that_come_while_a_server_closes_end():
    server = server_of()
    futures, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            futures.append(server.submit(FINE, 5.0))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    server.close(answer=False)
    stop.set()
    for thread in threads:
        thread.join()
    assert ended(futures)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (dict(examples=np.zeros((0, 8, 8, 1), np.float32)), "examples must hold at"),
        (dict(batch_sizes=(1.0,)), r"whole numbers of at least 1, got .*\(1.0,\)"),
        (dict(repeats=0), "repeats must be at least 1, got 0"),
        (dict(least_density=1.5), r"least_density must be in \[0, 1\], got 1.5"),
        (dict(held_out=(np.zeros((0, 8, 8, 1)), np.mean)), "held_out must hold at"),
    ],
)
def test_a_ladder_of_nothing_is_refused_in_words(asked, message):
    settings = dict(
        examples=np.zeros((1, 8, 8, 1), np.float32), budgets=(1.0,), batch_sizes=(1,)
    )
    with pytest.raises(ValueError, match=message):
        Ladder.compile(None, **settings | asked)
