"""Sources of requests: this thread, another process, and one beside a busy core."""

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Float

Times = Float[np.ndarray, "n"]
Source = Callable[[Times], Iterator[tuple[int, float]]]


def this_thread(times: Times) -> Iterator[tuple[int, float]]:
    """Yields (index, arrival on `time.monotonic()`) when each of `times` has come.

    Args:
        times: Seconds from the first request for a value on, in rising order.
    """
    start = time.monotonic()
    for index, moment in enumerate(times):
        time.sleep(max(start + moment - time.monotonic(), 0))
        yield index, start + float(moment)


def another_process(times: Times) -> Iterator[tuple[int, float]]:
    """`this_thread`, run by another process, which no busy server can delay.

    Args:
        times: As in `this_thread`.

    Raises:
        RuntimeError: If that process dies.
    """
    receiver, sender = multiprocessing.get_context("spawn").Pipe(duplex=False)
    with _process(send, sender, times):
        sender.close()  # so that the end of the process closes the pipe
        try:
            while (entry := receiver.recv()) is not None:
                yield entry
        except EOFError as error:
            raise RuntimeError(
                "the process that sends the requests ended before the last one."
            ) from error


def beside_busy_core(start: float, end: float) -> Source:
    """Returns `another_process` that shares the machine with a busy one for a while.

    Args:
        start: Seconds of the replay at which a process begins to keep a core busy.
        end: Seconds at which that process stops.
    """

    def source(times: Times) -> Iterator[tuple[int, float]]:
        with contextlib.ExitStack() as busy:
            begun = False
            for index, arrival in another_process(times):
                if not begun and start <= times[index] < end:
                    busy.enter_context(_process(_stay_busy))
                    begun = True
                if times[index] >= end:
                    busy.close()
                yield index, arrival

    return source


def send(connection: Any, times: Times):
    """Sends what `this_thread` yields into a pipe, then None.

    The clocks of two processes of one machine agree.

    Args:
        connection: The sending end of a `multiprocessing.Pipe`.
        times: As in `this_thread`.
    """
    for entry in this_thread(times):
        connection.send(entry)
    connection.send(None)


@contextlib.contextmanager
def _process(run: Callable[..., None], *args: Any) -> Iterator[None]:
    """Another process that calls `run` until the context is left."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=run, args=args, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _stay_busy():
    """Keeps one core busy until the process is killed."""
    while True:
        pass
