"""Replays of a load: one row per request, and shares over many of them."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
from jaxtyping import PyTree

from dynsparse.bench.sources import Source, Times, this_thread
from dynsparse.serving import Deadline, Ladder, Pinned, Refused, Runtime, Server

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


@dataclasses.dataclass(frozen=True)
class ScoredRequests:
    """Requests whose answers can be judged, sent in turn.

    Attributes:
        inputs: Examples of each request: an array or a `dynsparse.call`.
        score: `score(index, outputs)`, in [0, 1], of the answer to a request, such as
            the share of its examples that are classified right.
        size: Examples of a request.
        deadline: Seconds within which a request must be answered, > 0.
    """

    inputs: Sequence[PyTree]
    score: Callable[[int, PyTree], float]
    size: int
    deadline: float


def replay(
    ladder: Ladder,
    requests: ScoredRequests,
    times: Times,
    *,
    pinned: int | None = None,
    rungs: Sequence[int] | None = None,
    source: Source = this_thread,
    watch: Callable[[Row], None] = lambda row: None,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Row]:
    """Sends requests at given times and waits for every answer.

    Args:
        ladder: Programs that answer.
        requests: Requests, sent in turn.
        times: Seconds at which to send them, in rising order.
        pinned: Rung that answers every request; None for a controller that follows the
            deadlines.
        rungs: Rungs that the controller may use, as in `Runtime`.
        source: Who sends the requests: a function of `bench.sources`.
        watch: Called with each row once its request has ended, by the server's thread.
        stopped: Returns True to send no more and to refuse what waits.

    Returns:
        A row of `FIELDS` per request, in the order of arrival. `seconds` is the time
        until the answer, `right` its score, and `right_in_time` the same, but 0 for an
        answer that is late or refused. A refused request has None for `rung`,
        `budget`, `seconds` and `right`.

    Raises:
        Exception: The error of the first pass that failed.
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
                seconds = time.monotonic() - arrival
                error = future.exception()
                if error is not None and not isinstance(error, Refused):
                    errors.append(error)
                    return
                row = dict(policy=policy, arrival=float(times[index]))
                row |= _outcome(future, ladder, requests, chosen, seconds)
                rows[index] = row
                watch(row)

            future.add_done_callback(note)
    if errors:
        raise errors[0]
    return [rows[index] for index in sorted(rows)]


def _outcome(
    future: Future,
    ladder: Ladder,
    requests: ScoredRequests,
    chosen: int,
    seconds: float,
) -> Row:
    error = future.exception()
    if isinstance(error, Refused):
        nothing = dict.fromkeys(("rung", "budget", "seconds", "right"))
        return nothing | dict(in_time=False, right_in_time=0.0, reason=str(error))
    answer = future.result()
    right = requests.score(chosen, answer.output)
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


def summary(rows: Sequence[Mapping[str, Any]], start: float, end: float) -> Row:
    """Returns shares over the requests that arrived in [start, end).

    Args:
        rows: From `replay`.
        start: Seconds of the replay.
        end: Seconds of the replay.

    Returns:
        `requests`, their number; `in_time` and `refused`, shares of them; and, over the
        answered ones, `score`, mean `budget` and `p95_ms`, the 95th percentile of
        the time to answer. What has no request is None.
    """
    chosen = [row for row in rows if start <= row["arrival"] < end]
    answered = [row for row in chosen if row["rung"] is not None]
    mean = lambda key, of: statistics.mean(row[key] for row in of) if of else None
    seconds = [row["seconds"] for row in answered]
    return dict(
        requests=len(chosen),
        in_time=mean("in_time", chosen),
        refused=1 - len(answered) / len(chosen) if chosen else None,
        score=mean("right", answered),
        budget=mean("budget", answered),
        p95_ms=1e3 * float(np.percentile(seconds, 95)) if seconds else None,
    )
