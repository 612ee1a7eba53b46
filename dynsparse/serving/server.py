"""Server: a queue in front of a runtime that answers or refuses every request."""

import collections
import concurrent.futures
import contextlib
import math
import numbers
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from jaxtyping import PyTree

from dynsparse._internal.call import Call
from dynsparse.serving.deadline import Deadline
from dynsparse.serving.runtime import Answer, Runtime

_CLOSED = "the server is closed"


class Refused(Exception):
    """Refusal of a request; its text is the reason.

    >>> str(serving.Refused("the queue is full (1000 requests)"))
    'the queue is full (1000 requests)'
    """


class _Request(NamedTuple):
    asked: Call
    number: int  # examples
    deadline: float  # on time.monotonic()
    future: "Future[Answer]"


class Server:
    """Serves requests one after the other, first come first served.

    Every future ends: with an answer, with `Refused`, or with the error of its request.
    A request that not even the fastest rung can answer in time is refused when its turn
    comes, so that it delays no other; a request that finds the queue full is refused at
    once. Use a server as a context manager: it answers what waits and then stops.

    Args:
        runtime: Runtime that answers. For rungs that follow the deadlines, `deadline`
            is its signal, or a part of its signal.
        deadline: Notes arrivals, and says which requests cannot be answered in time.
        limit: Maximum number of waiting requests, at least 1.

    Raises:
        ValueError: If the limit is below 1.

    >>> rungs = [serving.Rung(budget=1.0, seconds={1: 1e-3})]
    >>> double = lambda batch_stats, state, asked: asked(lambda x: 2 * x)
    >>> ladder = serving.Ladder(
    ...     rungs=rungs, programs={(0, 1): double}, batch_stats=((),)
    ... )
    >>> deadline = serving.Deadline()
    >>> runtime = serving.Runtime(ladder, deadline)
    >>> with serving.Server(runtime, deadline=deadline) as server:
    ...     future = server.submit(np.ones((1, 2)), seconds=5.0)
    ...     hopeless = server.submit(np.ones((1, 2)), seconds=0.0)
    >>> future.result().output.tolist()
    [[2.0, 2.0]]
    >>> type(hopeless.exception()).__name__
    'Refused'
    """

    def __init__(self, runtime: Runtime, *, deadline: Deadline, limit: int = 1000):
        if not isinstance(limit, numbers.Real) or not limit >= 1:
            raise ValueError(f"limit must be at least 1 request, got {limit!r}.")
        self._runtime, self._deadline, self._limit = runtime, deadline, limit
        self._waiting: collections.deque[_Request] = collections.deque()
        self._changed = threading.Condition()
        self._open = True
        self._worker = threading.Thread(target=self._work, daemon=True)
        self._worker.start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, error, *_):
        self.close(answer=error is None)

    def __len__(self) -> int:
        """Returns the number of requests that wait for an answer."""
        with self._changed:
            return sum(not request.future.cancelled() for request in self._waiting)

    def submit(
        self, x: PyTree, seconds: float, *, since: float | None = None
    ) -> "Future[Answer]":
        """Queues a request.

        Args:
            x: Examples, at least one, as `Ladder.__call__` takes them.
            seconds: Time within which the request must be answered.
            since: Moment at which that time began, on `time.monotonic()`; None for now.

        Returns:
            A future that ends with the answer, with `Refused`, or with the error of the
            request, such as a `ValueError` for examples of another shape or type than
            the ladder was compiled for.
        """
        now, future = time.monotonic(), Future()
        try:
            asked = self._runtime.ladder.checked(x)
            patience = _number("seconds", seconds)
            begun = now if since is None else _number("since", since)
            request = _Request(asked, asked.num_examples, begun + patience, future)
            with self._changed:
                self._deadline.arrived(now, patience)
                self._queue(request)
        except Exception as error:  # the caller's, and nobody else's
            _end(future, error)
        return future

    def close(self, *, answer: bool = True):
        """Stops the server.

        Args:
            answer: Whether to answer what waits first; otherwise it is refused.
        """
        with self._changed:
            self._open = False
            dropped = [] if answer else self._take_all()
            self._changed.notify()
        _refuse(dropped)
        if threading.current_thread() is not self._worker:
            self._worker.join()

    def _queue(self, request: _Request):
        if self._open and len(self._waiting) >= self._limit:
            self._drop_cancelled()
        if not self._open:
            raise Refused(_CLOSED)
        if len(self._waiting) >= self._limit:
            raise Refused(f"the queue is full ({self._limit} requests)")
        self._waiting.append(request)
        self._changed.notify()

    def _drop_cancelled(self):
        """Removes requests whose callers have given up from the queue."""
        kept = [r for r in self._waiting if not r.future.cancelled()]
        for request in self._waiting:
            if request.future.cancelled():
                request.future.set_running_or_notify_cancel()
        self._waiting = collections.deque(kept)

    def _take_all(self) -> list[_Request]:
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def _work(self):
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting or not self._open)
                    if not self._waiting:
                        return
                    request = self._waiting.popleft()
                    waiting = [request, *self._waiting]
                if _takes_an_answer(request.future):
                    self._serve(request, waiting)
        finally:  # however it ends, nobody waits for ever
            with self._changed:
                self._open = False
                dropped = self._take_all()
            _refuse(dropped)

    def _serve(self, request: _Request, waiting: Sequence[_Request]):
        try:
            answer = self._answer(request, waiting)
        except Exception as error:  # the caller's, such as a signal that fails
            _end(request.future, error)
        except BaseException as error:  # a signal that exits ends no server
            words = f"the pass was ended by {type(error).__name__}: {error}"
            _end(request.future, RuntimeError(words))
        else:
            _quietly(lambda: request.future.set_result(answer))

    def _answer(self, request: _Request, waiting: Sequence[_Request]) -> Answer:
        now, runtime = time.monotonic(), self._runtime
        slack = lambda other: other.deadline - now
        least = {
            number: self._deadline.least(runtime.ladder, number, runtime.rungs)
            for number in {other.number for other in waiting}
        }
        hopeless = lambda other: least[other.number] > slack(other)
        if hopeless(request):
            self._deadline.refused()
            left = 1e3 * slack(request)
            raise Refused(f"{left:.0f} ms left, which no rung can meet")
        # Requests that will not be answered in any case hurry no other.
        slacks = [
            slack(other)
            for other in waiting
            if other is request or not (other.future.cancelled() or hopeless(other))
        ]
        return runtime.predict(request.asked, slacks)


def _number(name: str, value: float) -> float:
    """Returns `value` as seconds; raises ValueError if it is no number."""
    try:
        found = float(value) if isinstance(value, numbers.Real) else math.nan
    except OverflowError:
        found = math.inf
    if math.isnan(found):
        raise ValueError(f"{name} must be a number of seconds, got {value!r}.")
    return found


def _takes_an_answer(future: Future) -> bool:
    """Whether the caller has neither cancelled the future nor set its result."""
    try:
        return future.set_running_or_notify_cancel()
    except (RuntimeError, concurrent.futures.InvalidStateError):
        return False


def _refuse(requests: Sequence[_Request]):
    for request in requests:
        if _takes_an_answer(request.future):
            _end(request.future, Refused(_CLOSED))


def _end(future: Future, error: BaseException):
    _quietly(lambda: future.set_exception(error))


def _quietly(settle: Callable[[], None]):
    """Settles a future; a callback of the caller that fails ends no server."""
    with contextlib.suppress(BaseException):
        settle()
