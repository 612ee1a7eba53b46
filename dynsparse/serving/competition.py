"""Requests from another process, while a third one burns a core for some time."""

import multiprocessing
from collections.abc import Callable, Iterator

from dynsparse.serving.replay import Times, from_process


def beside_a_burner(start: float, end: float) -> Callable:
    """Returns a source of requests for `replay.replay`.

    Args:
        start: Seconds of the replay from which a process burns a core.
        end: Seconds from which it no longer does.
    """

    def source(times: Times) -> Iterator[tuple[int, float]]:
        context = multiprocessing.get_context("spawn")
        burner = None
        try:
            for index, arrival in from_process(times):
                burning = start <= times[index] < end
                if burning and burner is None:
                    burner = context.Process(target=_burn, daemon=True)
                    burner.start()
                if burner is not None and not burning:
                    burner.kill()
                yield index, arrival
        finally:
            if burner is not None:
                burner.kill()

    return source


def _burn():
    """Takes a core until it is killed."""
    while True:
        pass
