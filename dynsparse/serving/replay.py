"""A load profile against a ladder: one row per request, and what they add up to."""

import dataclasses
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from dynsparse.serving.deadline import Deadline
from dynsparse.serving.ladder import Batch, Ladder
from dynsparse.serving.load import send
from dynsparse.serving.runtime import Runtime
from dynsparse.serving.server import Refused, Server
from dynsparse.serving.signals import Pinned

FIELDS: tuple[str, ...] = (
    "policy",
    "arrival",
    "rung",
    "budget",
    "seconds",
    "in_time",
    "right",
    "right_in_time",
    "reason",
)
Row = dict[str, Any]
Times = Float[np.ndarray, "n"]


@dataclasses.dataclass(frozen=True)
class Requests:
    """Labelled requests, asked for in turn.

    Attributes:
        inputs: Of all of them, each [examples, ...].
        labels: The right classes, [requests, examples].
        deadline: Seconds in which each is to be answered.
    """

    inputs: Sequence[Batch]
    labels: Int[np.ndarray, "requests examples"]
    deadline: float


def here(times: Times) -> Iterator[tuple[int, float]]:
    """Yields (index, arrival on `time.monotonic()`) at each of `times`."""
    start = time.monotonic()
    for index, moment in enumerate(times):
        time.sleep(max(start + moment - time.monotonic(), 0))
        yield index, start + float(moment)


def from_process(times: Times) -> Iterator[tuple[int, float]]:
    """The same, sent by another process: it does not wait for this one.

    Raises:
        RuntimeError: If that process dies.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=send, args=(sender, times), daemon=True)
    process.start()
    sender.close()  # so that its end is seen, however it ends
    try:
        while (entry := receiver.recv()) is not None:
            yield entry
    except EOFError as error:
        raise RuntimeError(
            "the process that sends the requests ended before the last one."
        ) from error
    finally:
        process.terminate()
        process.join()


def replay(
    ladder: Ladder,
    requests: Requests,
    times: Times,
    *,
    pinned: int | None = None,
    rungs: Sequence[int] | None = None,
    source: Callable[[Times], Iterator[tuple[int, float]]] = here,
    watch: Callable[[Row], None] = lambda row: None,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Row]:
    """Sends the requests and waits for every answer.

    Args:
        ladder: What answers.
        requests: What is asked.
        times: When, in seconds, in rising order.
        pinned: A rung to stay on; None to follow the deadlines.
        rungs: To choose from where none is pinned, as in `Runtime`.
        source: `here` or `from_process`.
        watch: Called with each row as soon as it is there.
        stopped: Whether to send no more, and to refuse what waits.

    Returns:
        A row of `FIELDS` per request, in the order of arrival. `seconds` is the time
        until the answer and `right` the share of right classes; with `rung` and
        `budget` they are None where a request was refused, with the reason.
        `right_in_time` is `right` of an answer in time, and 0 of any other request.

    Raises:
        Exception: That of the first pass that failed.
    """
    deadline = Deadline()
    signal = deadline if pinned is None else Pinned(pinned)
    policy = "controller" if pinned is None else f"rung {pinned}"
    rows: dict[int, Row] = {}
    errors: list[BaseException] = []
    runtime = Runtime(ladder, signal, rungs=rungs if pinned is None else (pinned,))
    with Server(runtime, deadline=deadline) as server:
        for index, arrival in source(times):
            if stopped() or errors:
                server.close(answer=False)
                break
            chosen = index % len(requests.inputs)
            future = server.submit(
                requests.inputs[chosen], requests.deadline, since=arrival
            )

            def note(future: Future, index=index, arrival=arrival, chosen=chosen):
                row = dict(policy=policy, arrival=float(times[index]))
                seconds = time.monotonic() - arrival
                error = future.exception()
                if error is not None and not isinstance(error, Refused):
                    errors.append(error)
                    return
                row |= _outcome(future, ladder, requests, chosen, seconds)
                rows[index] = row
                watch(row)

            future.add_done_callback(note)
    if errors:
        raise errors[0]
    return [rows[index] for index in sorted(rows)]


def _outcome(
    future: Future, ladder: Ladder, requests: Requests, chosen: int, seconds: float
) -> Row:
    error = future.exception()
    if isinstance(error, Refused):
        nothing = dict.fromkeys(("rung", "budget", "seconds", "right"))
        return nothing | dict(in_time=False, right_in_time=0.0, reason=str(error))
    answer = future.result()
    right = float((answer.output.argmax(-1) == requests.labels[chosen]).mean())
    in_time = seconds <= requests.deadline
    return dict(
        rung=answer.rung,
        budget=ladder.rungs[answer.rung].budget,
        seconds=seconds,
        in_time=in_time,
        right=right,
        right_in_time=right if in_time else 0.0,
        reason=answer.reason,
    )


def summary(rows: Sequence[Row], start: float, end: float) -> Row:
    """What the requests that arrived in [start, end) add up to.

    Returns:
        `requests`, `in_time` and `refused` (shares of them), and of the answered ones
        `accuracy`, mean `budget` and `p95_ms`; None where there is none.
    """
    chosen = [row for row in rows if start <= row["arrival"] < end]
    answered = [row for row in chosen if row["rung"] is not None]
    mean = lambda key, of: statistics.mean(row[key] for row in of) if of else None
    seconds = [row["seconds"] for row in answered]
    return dict(
        requests=len(chosen),
        in_time=mean("in_time", chosen),
        refused=1 - len(answered) / len(chosen) if chosen else None,
        accuracy=mean("right", answered),
        budget=mean("budget", answered),
        p95_ms=1e3 * float(np.percentile(seconds, 95)) if seconds else None,
    )


def first_on(rows: Sequence[Row], rung: int, since: float) -> float | None:
    """Seconds after `since` until a request comes that `rung` answers; None if none."""
    late = [r["arrival"] for r in rows if r["arrival"] >= since and r["rung"] == rung]
    return late[0] - since if late else None
