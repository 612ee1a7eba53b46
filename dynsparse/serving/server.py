"""A queue in front of a runtime: every request is answered or refused with a reason."""

import collections
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

from dynsparse.serving.deadline import Deadline
from dynsparse.serving.ladder import Batch
from dynsparse.serving.runtime import Answer, Runtime

_CLOSED = "the server is closed"


class Refused(Exception):
    """A request that is not answered; its text says why."""


class _Request(NamedTuple):
    x: Batch
    number: int  # of examples
    deadline: float  # of time.monotonic()
    future: "Future[Answer]"


class Server:
    """Serves requests one after the other, first come first served.

    A request that not even the lowest rung answers in time is refused when its turn
    comes, so that it does not cost the others; so is one that finds the queue full.

    Args:
        runtime: Its signal is, or holds, `deadline` where rungs should follow it.
        deadline: Hears of arrivals, and says whose case is hopeless.
        limit: Requests that may wait, at least 1.
        lowest: Rung below which the runtime does not go.

    Raises:
        ValueError: If the limit is below 1.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        deadline: Deadline,
        limit: int = 1000,
        lowest: int = 0,
    ):
        if limit < 1:
            raise ValueError(f"limit must be at least 1 request, got {limit}.")
        self._runtime, self._deadline = runtime, deadline
        self._limit, self._lowest = limit, lowest
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
        return len(self._waiting)

    def submit(
        self, x: Batch, seconds: float, *, since: float | None = None
    ) -> "Future[Answer]":
        """Queues a request.

        Args:
            x: Examples, at least one.
            seconds: In which to answer it.
            since: When that time began, on `time.monotonic()`; now, if None.

        Returns:
            A future of the answer, or of `Refused`.
        """
        now, future = time.monotonic(), Future()
        try:
            number = len(x)
        except TypeError as error:  # the caller's, and nobody else's
            future.set_exception(error)
            return future
        end = (now if since is None else since) + seconds
        request = _Request(x, number, end, future)
        with self._changed:
            self._deadline.arrived(now)
            if not self._open:
                request.future.set_exception(Refused(_CLOSED))
            elif len(self._waiting) >= self._limit:
                reason = f"the queue is full ({self._limit} requests)"
                request.future.set_exception(Refused(reason))
            else:
                self._waiting.append(request)
                self._changed.notify()
        return request.future

    def close(self, *, answer: bool = True):
        """Answers what waits, or refuses it, then stops."""
        with self._changed:
            self._open = False
            dropped = [] if answer else list(self._waiting)
            if not answer:
                self._waiting.clear()
            self._changed.notify()
        for request in dropped:
            if request.future.set_running_or_notify_cancel():
                request.future.set_exception(Refused(_CLOSED))
        self._worker.join()

    def _work(self):
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or not self._open)
                if not self._waiting:
                    return
                request = self._waiting.popleft()
                waiting = [request, *self._waiting]
            # A future that its caller has cancelled can take no answer.
            if request.future.set_running_or_notify_cancel():
                self._serve(request, waiting)

    def _serve(self, request: _Request, waiting: Sequence[_Request]):
        now = time.monotonic()
        slack = lambda other: other.deadline - now
        least = {
            number: self._deadline.least(self._runtime.ladder, number, self._lowest)
            for number in {other.number for other in waiting}
        }
        hopeless = lambda other: least[other.number] > slack(other)
        try:
            if hopeless(request):
                self._deadline.refused()
                left = 1e3 * slack(request)
                raise Refused(f"{left:.0f} ms left, which no rung can meet")
            # Nobody hurries for those that will not be answered in any case.
            slacks = [
                slack(other)
                for other in waiting
                if other is request or not (other.future.cancelled() or hopeless(other))
            ]
            answer = self._runtime.predict(request.x, slacks)
        except Exception as error:  # the caller's, such as a wrong shape
            request.future.set_exception(error)
        else:
            request.future.set_result(answer)
