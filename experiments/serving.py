"""Does a model that moves its budget hold its deadlines where a fixed one does not?

    python launch.py sweep experiments/serving.py:full --workdir=DIR

Claim: under a spike of twice what the full model can serve, the controller answers at
least 95 % of the requests in time, and 99 % from two seconds after it, for at most two
points of accuracy during the spike; within two seconds of its end the top rung is back;
and when another process takes a core, deadlines hold again within a second. What would
refute it: any of these figures missed, or a single rung that does as well.

Cluttered digits, `conv_vit` of twelve blocks, tokens gated at any budget, trained by
the sandwich rule, down to the lowest rungs: those that a spike needs are those that
drawn densities seldom train. A request is 64 test images, to be
answered within three times the median of the top rung on the idle machine. Requests
come from another process, Poisson. Processor seconds are those of this process, over
passes at one rung after the other.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from dynsparse import training
from dynsparse.bench.load_test import ServedModel
from dynsparse.bench.policies import PATIENCE, replay_policies
from dynsparse.bench.replay import summary
from dynsparse.bench.sources import another_process, beside_busy_core
from dynsparse.reports import Report, answer, draw_panels, grouped
from dynsparse.reports.stats import Row
from .digits import digits

ALONE = True
SECONDS = 24.0  # of each replay; its middle third is the spike, or the competition
SIZE = 64
AS_WELL = 0.005  # of accuracy that a single rung may be behind the controller
HELD = dict(during=0.95, after_2_s=0.99)  # in time, that a policy is to hold
PHASES = ("before", "during", "after_2_s")  # that accuracy is compared in
FIELDS = (
    *("load", "policy", "phase", "requests", "in_time", "refused", "score"),
    *("budget", "p95_ms", "top_after_s", "idle_ms", "cpu_s_per_1000", "peak_mb"),
)


def sweep(add, size):
    """One model, which is then served under each load."""
    small = size == "small"
    digits(add, size, {})(
        "conv_vit",
        "soft_topk,conv_vit,sandwich",
        "any budget",
        0,
        model__depth=1 if small else 12,
        budget__sampling__low=0.06,  # three of the tokens
        evaluation__densities=(1.0, 0.25),
        evaluation__budgets=(1.0,) if small else (0.15,),
        data__num_validation=500,
    )


def examine(experiment, state, points) -> list[dict[str, Any]]:
    """A row per rung, idle, and per load, policy and phase.

    The loads are a spike, and a constant one of which the middle third shares the
    machine with a process that burns a core. A model of one block is one to test with,
    for three seconds.
    """
    del points
    small = experiment.config["model"]["depth"] == 1
    served = ServedModel(
        name="serving",
        model=experiment.trainer.model(state),
        task=experiment.task,
        least_density=training.least_density(experiment),
    )
    rungs, lowest = (3, 0.15) if small else (6, 0.095)
    ladder = served.ladder(rungs=rungs, lowest=lowest, size=SIZE)
    deadline = PATIENCE * ladder.seconds(len(ladder.rungs) - 1, SIZE)
    requests = served.requests(experiment.task.test, size=SIZE, deadline=deadline)
    rows = list(_rungs(ladder, requests, 2 if small else 150))
    for load in ("spike", "competition"):
        rows += _replayed(ladder, requests, load, 3.0 if small else SECONDS)
    return [dict.fromkeys(FIELDS) | row for row in rows]


def _replayed(ladder, requests, load: str, seconds: float) -> Iterator[dict[str, Any]]:
    """What became of the requests of one load, by policy and phase."""
    third, top = seconds / 3, len(ladder.rungs) - 1
    phases = dict(
        before=(0.0, third),
        during=(third, 2 * third),
        first_second=(third, third + 1),
        after_1_s=(third + 1, 2 * third),
        after_2_s=(2 * third + 2, seconds),
    )
    rows: list[Row] = []
    competing = beside_busy_core(third, 2 * third)
    replay_policies(
        ladder,
        requests,
        load="spike" if load == "spike" else "constant",
        seconds=seconds,
        seed=0,
        source=competing if load == "competition" else another_process,
        watch=rows.append,
    )
    for policy, chosen in grouped(rows, itemgetter("policy")).items():
        answered = [row["arrival"] for row in chosen if row["rung"] == top]
        back = next((at - 2 * third for at in answered if at >= 2 * third), None)
        for phase, (start, end) in phases.items():
            row = dict(load=load, policy=policy, phase=phase)
            row["top_after_s"] = back if phase == "after_2_s" else None
            yield row | summary(chosen, start, end)


def _rungs(ladder, requests, most: int) -> Iterator[dict[str, Any]]:
    """Accuracy, processor time and memory of each rung, with nothing else to do."""
    number = min(len(requests.inputs), most)
    for index, rung in enumerate(ladder.rungs):
        used, right = time.process_time(), []
        for place, x in enumerate(requests.inputs[:number]):
            right.append(requests.score(place, ladder(index, x)))
        used = time.process_time() - used
        yield dict(
            load="none",
            policy=f"rung {index}",
            phase="idle",
            requests=number,
            score=float(np.mean(right)),
            budget=rung.budget,
            idle_ms=1e3 * rung.seconds[SIZE],
            cpu_s_per_1000=1000 * used / (number * SIZE),
            peak_mb=rung.peak_bytes[SIZE] / 1e6,
        )


def report(results: Sequence[Row]) -> Report:
    """The table, the claim's figures, and time to answer by policy."""
    rungs = [row["idle_ms"] for row in results if row["load"] == "none"]
    at = {(row["load"], row["policy"], row["phase"]): row for row in results}
    before, during, after = (at["spike", "controller", phase] for phase in PHASES)
    burdened, back = at["competition", "controller", "after_1_s"], after["top_after_s"]
    single, as_well = _single_rung(at)
    met = [_holds(at, "controller", phase) for phase in HELD]
    met += [(burdened["in_time"] or 0) >= HELD["during"]]
    met += [(before["score"] or 0) - (during["score"] or 0) <= 0.02]
    met += [back is not None and back <= 2, not as_well]
    by_policy = ", ".join(
        f"{policy} {_percent(row['in_time'])}"
        for (load, policy, phase), row in at.items()
        if (load, phase) == ("spike", "during")
    )
    notes = [
        f"The top rung takes {rungs[-1]:.1f} ms for a request of {SIZE}, "
        f"{rungs[-1] / rungs[0]:.1f} times as long as the lowest.",
        f"Spike, controller: {_percent(during['in_time'])} in time during it, "
        f"{_percent(after['in_time'])} from 2 s after it; accuracy "
        f"{_percent(during['score'])} during it, {_percent(before['score'])} "
        f"before; top rung back after {'-' if back is None else f'{back:.2f}'} s. "
        f"During it by policy: {by_policy}.",
        single,
        f"Competition, controller: {_percent(burdened['in_time'])} in time from 1 s "
        "after it began.",
        "Shares of the requests that arrived in a phase; a refused request is not in "
        "time. after_1_s: from one second into the middle third to its end; after_2_s: "
        "from two seconds after it. budget: mean MACs over dense of what was answered.",
    ]
    draw = lambda figure: _draw(figure, results)
    return Report(results, FIELDS, notes, draw, answer=answer(met, "figures"))


At = Mapping[tuple[str, str, str], Row]  # by load, policy and phase


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"  # no requests: -


def _holds(at: At, policy: str, phase: str) -> bool:
    return (at["spike", policy, phase]["in_time"] or 0) >= HELD[phase]


def _single_rung(at: At) -> tuple[str, bool]:
    """Whether a rung that holds the deadlines of the spike by itself does as well."""
    holding = [
        policy
        for load, policy, phase in at
        if (load, phase) == ("spike", "during")
        and policy != "controller"
        and all(_holds(at, policy, phase) for phase in HELD)
    ]
    if not holding:
        return "No single rung holds the deadlines of the spike.", False
    accuracies = lambda policy: [at["spike", policy, p]["score"] or 0 for p in PHASES]
    own = accuracies("controller")
    behind = {
        policy: max(a - b for a, b in zip(own, accuracies(policy), strict=True))
        for policy in holding
    }
    best = min(holding, key=behind.__getitem__)
    as_well = behind[best] <= AS_WELL
    listed = lambda shares: ", ".join(map(_percent, shares))
    return (
        f"A single rung {'does' if as_well else 'does not do'} as well: {best}, "
        "pinned, holds those deadlines, at an "
        "accuracy before, during and from 2 s after the spike of "
        f"{listed(accuracies(best))}, where the controller has {listed(own)}: "
        f"{100 * behind[best]:+.2f} points behind at most, of {100 * AS_WELL:g} that "
        "still count as well."
    ), as_well


def _draw(figure, results: Sequence[Row]):
    words = dict(before="before", during="during", after_2_s="from 2 s after")
    shares = [
        dict(row, phase=words[row["phase"]])
        | {name: row[name] or 0.0 for name in ("in_time", "score")}
        for row in results
        if row["phase"] in words
    ]
    panels = draw_panels(
        figure,
        shares,
        x="policy",
        y=("in_time", "score"),
        hue="phase",
        panel="load",
        labels=dict(in_time="in time, of the requests", policy=""),
    )
    for axes in panels:
        axes.tick_params(axis="x", rotation=40)
