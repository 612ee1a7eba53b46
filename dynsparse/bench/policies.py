"""One load, answered by the controller and by each single rung."""

from collections.abc import Callable, Sequence

from dynsparse.bench.arrivals import PROFILES, arrivals
from dynsparse.bench.replay import Row, ScoredRequests, replay
from dynsparse.bench.sources import Source, this_thread
from dynsparse.serving import Ladder

PATIENCE = 3  # deadline of a request, in median passes of the top rung


def replay_policies(
    ladder: Ladder,
    requests: ScoredRequests,
    *,
    load: str,
    seconds: float,
    seed: int,
    rounds: int = 1,
    rungs: Sequence[int] | None = None,
    source: Source = this_thread,
    watch: Callable[[Row], None] = lambda row: None,
    stopped: Callable[[], bool] = lambda: False,
):
    """Replays one load once per round and policy.

    Every round begins with another policy, so that no policy suffers more than others
    from a machine that is slow for a while.

    Args:
        ladder: Programs that answer.
        requests: Requests, sent in turn.
        load: Key of `PROFILES`; load 1 is what the top rung can just serve.
        seconds: Duration of each replay.
        seed: Seed of the arrival times, which all policies of a round share.
        rounds: Number of times that every policy replays the load, at least 1.
        rungs: Rungs that the controller may use, as in `Runtime`.
        source: As in `replay`.
        watch: Called with each row of `replay`, and its "round".
        stopped: Returns True to end now.
    """
    top = len(ladder.rungs) - 1
    capacity = 1 / ladder.seconds(top, requests.size)
    policies = [None, *reversed(range(len(ladder.rungs)))]
    for number in range(rounds):
        times = arrivals(
            PROFILES[load], capacity=capacity, seconds=seconds, seed=seed + number
        )
        first = number % len(policies)
        for pinned in policies[first:] + policies[:first]:
            if stopped():
                return
            replay(
                ladder,
                requests,
                times,
                pinned=pinned,
                rungs=rungs,
                source=source,
                watch=lambda row, number=number: watch(row | dict(round=number)),
                stopped=stopped,
            )
