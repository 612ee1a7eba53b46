"""Does the saved work show on the clock?

    python launch.py sweep experiments/wall_clock.py:full --workdir=DIR

Claim: compact execution takes the share of the dense time that its bill says, at every
granularity, for one example and for a batch. What would refute it: a time ratio far
above the MAC ratio, as masks alone give ("I ran it, and it is not faster").

Each network has all its MACs but those of the gates in gated layers of one granularity.
Every density is measured beside the dense network, in one process, taking turns;
untrained weights and random inputs, since neither changes the time; a time ratio is
the median of those within a turn, with its quartiles, and the dense network runs twice
in each turn, to tell how far the machine can be trusted. Gates of a varying
count are biased so that each opens the given share of the inputs: of the batch, or of a
stream of eight, one at a time.
"""

import statistics
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from dynsparse import costs, gates, reports
from dynsparse.reports import Report, grouped
from dynsparse.reports.runs import busy_among
from dynsparse.reports.stats import CONTRADICTED, SUPPORTED, Row
from .networks import gated

GRANULARITIES = (
    *("tokens", "bypass", "blocks", "exits", "width", "neurons", "experts"),
    *("expert_choice", "features", "heads", "positions", "channels"),
)
DENSITIES = (0.125, 0.25, 0.5, 0.75, 1.0)
ALONE = True
LEAST = 0.8  # efficiency at which wall-clock time follows the bill
RULE = (
    f"Supported: the efficiency is at least {LEAST:g} wherever a density saves MACs. "
    "In brackets: the least efficiency, and the densities at which compact execution "
    "is slower than the dense network."
)
_QUARTILES = ("time_ratio_q1", "time_ratio_q3")
STREAM = 8  # minimum number of inputs, so that an eighth of them can be open
SOFT_TOPK = dict(name="soft_topk", density=1.0, temperature=1.0, family="logistic")
GUMBEL = dict(name="gumbel_sigmoid", temperature=1.0)
GATES = dict.fromkeys(GRANULARITIES, SOFT_TOPK) | dict(blocks=GUMBEL, exits=GUMBEL)


def sweep(add, size):
    """One call of `add` per network and batch size."""
    if size == "small":
        for granularity in GRANULARITIES[:8]:
            add(granularity=granularity, batch=8, small=True, repeats=3)
        return
    for batch in (64, 1):
        for granularity in GRANULARITIES:
            add(granularity=granularity, batch=batch)


def measure(
    *, granularity: str, batch: int, small: bool = False, repeats: int | None = None
) -> list[dict[str, Any]]:
    """Times the dense and the compact execution at every density.

    Args:
        granularity: One of `GRANULARITIES`.
        batch: Examples per pass.
        small: Whether the network is one to test with.
        repeats: Timed passes of each; None: for about three seconds, but at least 15.

    Returns:
        A row for each density.
    """
    gate = GATES[granularity]
    fixed = issubclass(gates.find(gate["name"]), gates.TopkGate)
    rngs = nnx.Rngs(params=0, gate=1)
    network, draw = gated.build(granularity, gate, rngs, small=small)
    network = gates.evaluating(network)
    number = max(batch, STREAM)
    inputs = draw(jax.random.key(0), number)
    views = dict(dense=nnx.view(network, execution="dense"))
    for density in DENSITIES:
        if fixed:
            view = nnx.view(network, execution="compact", density=density)
        else:
            view = nnx.view(nnx.clone(network), execution="compact")
            gated.open_share(view, inputs, density)
        views[str(density)] = view

    programs, calls, memory = {}, {}, {}
    passes = jnp.split(inputs, number // batch)
    for name, view in views.items():
        graphdef, state = nnx.split(view)
        run = lambda state, x, graphdef=graphdef: nnx.merge(graphdef, state)(x)
        if graphdef not in programs:  # gates of a varying count share one
            programs[graphdef] = jax.jit(run).lower(state, inputs[:batch]).compile()
        program = programs[graphdef]
        memory[name] = costs.peak_bytes(program)
        calls[name] = lambda program=program, state=state: [
            program(state, some) for some in passes
        ]
    if repeats is None:
        once = costs.median_seconds(dict(dense=calls["dense"]), repeats=3)["dense"]
        repeats = max(15, round(3 / once))
    turns = costs.seconds_by_turn(calls | dict(again=calls["dense"]), repeats=repeats)
    _, again, _ = costs.ratio_quartiles(turns["again"], turns["dense"])

    prices = costs.Prices(network, jax.ShapeDtypeStruct(inputs[:1].shape, inputs.dtype))
    rows = []
    for name in map(str, DENSITIES):
        masks = costs.run_gates(nnx.view(views[name], execution="masked"), inputs)
        budget = costs.itemize(prices, masks, num_examples=number).budget
        opened = sum(float((mask > 0).mean()) for mask in masks.values()) / len(masks)
        low, ratio, high = costs.ratio_quartiles(turns[name], turns["dense"])
        rows.append(
            dict(
                granularity=granularity,
                gate=gate["name"],
                density=opened,
                batch=batch,
                macs_ratio=budget,
                time_ratio=ratio,
                time_ratio_q1=low,
                time_ratio_q3=high,
                dense_again=again,
                efficiency=budget / ratio,
                saved=(1 - ratio) / (1 - budget) if budget < 1 else None,
                break_even=None,
                dense_ms=1e3 * statistics.median(turns["dense"]) / len(passes),
                memory_ratio=memory[name] / memory["dense"],
            )
        )
    break_even = crossing([(row["density"], row["time_ratio"]) for row in rows])
    return [row | dict(break_even=break_even) for row in rows]


def crossing(points: Sequence[tuple[float, float]]) -> float:
    """Density from which the time ratio stays at 1 or above, between measured ones.

    Args:
        points: Density and time ratio, in the order of the densities; at density 1
            gating cannot save, whatever was measured.
    """
    points = [*[p for p in points if p[0] < 1], (1.0, max(1.0, points[-1][1]))]
    for (low, before), (high, after) in reversed(
        list(zip(points, points[1:], strict=False))
    ):
        if before < 1:
            return low + (high - low) * (1 - before) / (after - before)
    return 0.0


def report(results: Sequence[Row]) -> Report:
    """The table, whose claims hold, and the figure of time beside MACs."""
    lines, verdicts = _verdicts([row for row in results if row["macs_ratio"] < 1])
    timed = {f"{r['granularity']}, batch {r['batch']}": r for r in results}
    busy = busy_among({name: row["dense_again"] for name, row in timed.items()})
    notes = [
        "efficiency = macs_ratio / time_ratio; saved = (1 - time_ratio) / "
        "(1 - macs_ratio); break_even = density above which gating costs more than it "
        "saves; memory_ratio = peak bytes of compact over dense execution; time_ratio: "
        "median and quartiles of the turns; dense_again: the same of the dense network "
        "beside itself.",
        *busy,
        RULE,
        "\n".join(lines),
    ]
    with_quartiles = (
        "{time_ratio:.3f} ({time_ratio_q1:.3f}-{time_ratio_q3:.3f})".format_map
    )
    return Report(
        rows=results,
        columns=[name for name in results[0] if name not in _QUARTILES],
        table=[dict(row) | dict(time_ratio=with_quartiles(row)) for row in results],
        notes=notes,
        figure=lambda figure: _draw(figure, results, reports.BUSY if busy else ""),
        answer=reports.answer(verdicts, "granularities and batch sizes"),
    )


def _verdicts(saving: Sequence[Row]) -> tuple[list[str], list[bool]]:
    """Where the clock follows the bill: a note per batch, and the verdicts alone."""
    lines, verdicts = [], []
    for batch, some in grouped(saving, itemgetter("batch")).items():
        gated = grouped(some, itemgetter("granularity"))
        least = {
            name: min(row["efficiency"] for row in rows) for name, rows in gated.items()
        }
        holds = [name for name in gated if least[name] >= LEAST]
        fails = [
            f"{name} ({least[name]:.2f}{_slower(gated[name])})"
            for name in sorted(gated, key=least.__getitem__)
            if name not in holds
        ]
        lines.append(
            f"- batch {batch}: {SUPPORTED} for {', '.join(holds) or 'none'}; "
            f"{CONTRADICTED} for {', '.join(fails) or 'none'}."
        )
        verdicts += [name in holds for name in gated]
    return lines, verdicts


def _slower(rows: Sequence[Row]) -> str:
    places = [f"{row['density']:.3g}" for row in rows if row["time_ratio"] >= 1]
    return f"; slower at {', '.join(places)}" if places else ""


def _draw(figure, results: Sequence[Row], title: str):
    """A panel per granularity, a line per batch size, with quartiles."""
    low, high = _QUARTILES
    lines = [
        dict(row, batch=f"batch {row['batch']}")
        | dict(time_ratio=(row[low], row["time_ratio"], row[high]))
        for row in results
    ]
    panels = reports.draw_panels(
        figure,
        lines,
        x="macs_ratio",
        y="time_ratio",
        hue="batch",
        panel="granularity",
        share=True,
    )
    for axes in panels:
        axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", linewidth=1)
    panels[0].set(xlim=(0, 1.08), ylim=(0, None))
    figure.suptitle(title)
