"""What does a differentiable top-k cost beside the hard one?

    python launch.py sweep experiments/operator_speed.py:full --workdir=DIR

Claim: forward and backward of soft_topk_mask take at most 3 times the forward of
jax.lax.top_k, and 20 times less than OTT-JAX takes for the same mask at the smallest
epsilon at which it converges. What would refute it: a longer time at n = 1024 (batch
32) or at n = 32768 (batch 8), k = n / 4, in the same process.

Scores are standard normal, in float32, at temperature 0.1; operators take turns, and
ratios are to the forward of jax.lax.top_k, which runs twice in each turn: medians with
quartiles. Memory is what XLA plans for temporaries and outputs. `miss` is the largest
|sum - k| of a row, in float64; `difference` is to our operator that computes the same.
OTT, with its default tolerance, has temperature epsilon / 2, which goes down a grid
until value or gradient is not finite or a sum is off by 1 % of k: as it comes, with a
ridge in the solver of its implicit gradient, and unrolled.
"""

import functools
import importlib.metadata
import logging
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import jax
import numpy as np

from dynsparse import costs, ops, reports
from dynsparse.reports import Report, grouped
from dynsparse.reports.runs import busy_among
from dynsparse.reports.stats import Row

TIMES = ("forward_ratio", "both_ratio", "forward_ms", "both_ms", "memory_mb")
SPREAD = ("both_ratio_q1", "both_ratio_q3", "top_k_again")
ERRORS = ("miss", "difference", "gradient_difference", "nan_rate")
COLUMNS = ("operator", "n", "batch", *TIMES, *SPREAD, *ERRORS, "temperature", "note")
PARTS = ("forward", "both")
TARGETS = ((1024, 32), (32768, 8))  # n and batch
ALONE = True
PEERS = ("ott-jax", "jaxopt", "entmax")
OTT_TEMPERATURES = (0.25, 0.15, 0.1, 0.075, 0.05, 0.025, 0.01)
SORTED = ("jax.lax.top_k", "jnp.sort")  # values, not a mask
TABLES, LARGEST_TABLE = ("k_subset", "soft_sort", "neural_sort"), 2**24  # n k entries
SLOW, TOO_LONG = 1, 20  # seconds of a call: timed once; nothing harder is tried
VERSIONS = {each.name: each.version for each in importlib.metadata.distributions()}


class Operator(NamedTuple):
    """A function of scores, k and temperature, and what is special about it."""

    apply: Callable[[Any, int, Any], Any]
    package: str = "dynsparse"
    same_as: str | None = None  # our operator that computes the same
    temperatures: Sequence[float] = (0.1,)  # the last that works, of easy to hard


def sweep(add, size):
    """One call of `add` per n and batch, and one for the hard inputs."""
    only = ("jax.lax.top_k", "logistic") if size == "small" else None
    for n, batch in (*TARGETS, (64, 2**12), (1024, 2**8), (2**20, 1)):
        add(inputs="normal", n=n, batch=batch, only=only)
    add(inputs="hard", n=64, batch=1, only=only)


def measure(*, inputs: str, n: int, batch: int, repeats: int = 7, only=None):
    """One row per operator: its time on "normal" inputs, or which "hard" ones break it.

    `only` names operators, jax.lax.top_k among them; None is all.
    """
    logging.getLogger("jax").setLevel(logging.CRITICAL)  # what peers raise is noted
    scores = jax.random.normal(jax.random.key(0), (batch, n))
    left_out = SORTED if inputs == "hard" else ()
    left_out += TABLES if batch * n * (n // 4) > LARGEST_TABLE else ()
    wanted = lambda name: name not in left_out and (only is None or name in only)
    chosen = {name: operator for name, operator in _operators() if wanted(name)}
    if inputs == "normal":
        return _timed_rows(chosen, scores, repeats)
    return [_hard_row(name, operator, scores) for name, operator in chosen.items()]


def report(results: Sequence[Row]) -> Report:
    """The table, whether the targets were met, and time against n."""
    hard = {row["operator"]: row for row in results if "broken_by" in row}
    timed = [row for row in results if "broken_by" not in row]
    rate = lambda name: hard[name]["nan_rate"] if name in hard else None
    rows = [{**row, "nan_rate": rate(row["operator"])} for row in timed]
    packages = sorted({row["package"] for row in rows})
    missing = [peer for peer in PEERS if peer not in " ".join(packages)]
    broken = [f"{name} ({hard[name]['broken_by']})" for name in hard if rate(name)]
    found = [found for shape in TARGETS for found in _verdicts(rows, *shape)]
    notes = [
        *(note for note, _ in found),
        f"Broken by hard inputs: {'; '.join(broken) or 'none'}.",
        f"Packages: {', '.join(packages)}. Missing: {', '.join(missing) or '-'}.",
    ]
    shape = lambda row: f"n {row['n']}, batch {row['batch']}"
    busy = busy_among({shape(row): row["top_k_again"] for row in rows})
    draw = functools.partial(_draw, rows=rows, busy=f"; {reports.BUSY}" if busy else "")
    said = reports.answer([m for _, met in found for m in met], "operators and shapes")
    return Report(rows, COLUMNS, [*busy, *notes], draw, answer=said)


def _verdicts(rows, n, batch) -> Iterator[tuple[str, list[bool]]]:
    at = {r["operator"]: r for r in rows if (r["n"], r["batch"]) == (n, batch)}
    word = ("missed", "met").__getitem__
    ratios = {name: at[name]["both_ratio"] for name in ops.FAMILIES if name in at}
    listed = ", ".join(f"{name} {r:.2f} ({word(r <= 3)})" for name, r in ratios.items())
    said = f"n = {n}, batch {batch}, at most 3 times jax.lax.top_k: {listed or '-'}."
    yield said, [ratio <= 3 for ratio in ratios.values()]
    peers = [r for r in at.values() if "ott" in r["package"] and r["both_ms"]]
    for peer in sorted(peers, key=lambda r: (r["temperature"], r["both_ms"]))[:1]:
        factor = peer["both_ms"] / at["logistic"]["both_ms"]
        said = (
            f"n = {n}, batch {batch}, at least 20 times faster than OTT: {factor:.1f} "
            f"({word(factor >= 20)}), of '{peer['operator']}' at its smallest epsilon, "
            f"{2 * peer['temperature']:.3g}. Its errors: {peer['miss']:.2g} in k "
            f"(logistic {at['logistic']['miss']:.2g}), {peer['difference']:.2g} in the "
            f"mask, {peer['gradient_difference']:.2g} in the gradient."
        )
        yield said, [factor >= 20]


def _operators() -> Iterator[tuple[str, Operator]]:
    key, soft, load = jax.random.key(0), ops.soft_topk_mask, importlib.import_module
    softmax = lambda s, k, t: jax.numpy.minimum(1, k * jax.nn.softmax(s / t, -1))
    perturb = functools.partial(ops.perturbed_topk_mask, key, num_samples=100)

    def rounded(s, k, t):
        mask = soft(s, k, t)
        return ops.straight_through(ops.systematic_round(key, mask), mask)

    yield "jax.lax.top_k", Operator(lambda s, k, t: jax.lax.top_k(s, k)[0], "jax")
    yield "jnp.sort", Operator(lambda s, k, t: jax.numpy.sort(s, -1), "jax")
    yield "k softmax, clipped", Operator(softmax, "jax")
    for family in ops.FAMILIES:
        yield family, Operator(functools.partial(soft, family=family))
    for family in ("laplace", "capped"):
        by_sort = functools.partial(soft, family=family, solver="sort")
        yield f"{family}, by sort", Operator(by_sort, same_as=family)
    yield "logistic, rounded", Operator(rounded)
    yield "hard_topk", Operator(lambda s, k, t: ops.hard_topk_mask(s, k))
    yield "dftopk", Operator(ops.dftopk_mask)
    yield "k_subset", Operator(lambda s, k, t: ops.k_subset_marginals(s / t, k))
    yield "soft_sort", Operator(ops.soft_sort_mask)
    yield "neural_sort", Operator(ops.neural_sort_mask)
    yield "optax perturbed", Operator(lambda s, k, t: perturb(s, k, sigma=t), "optax")
    if "ott-jax" in VERSIONS:
        topk_mask = load("ott.tools.soft_sort").topk_mask
        implicit = load("ott.solvers.linear.implicit_differentiation").ImplicitDiff
        ridge = implicit(solver_kwargs=dict(ridge_kernel=1e-2, ridge_identity=1e-2))
        for name, form in dict(plain=implicit(), ridge=ridge, unrolled=None).items():
            options = dict(squashing_fun=lambda scores: scores, implicit_diff=form)
            mask = lambda s, k, t, o=options: topk_mask(s, k=k, epsilon=2 * t, **o)
            yield f"ott {name}", Operator(mask, "ott-jax", "logistic", OTT_TEMPERATURES)
    if "jaxopt" in VERSIONS:
        project = load("jaxopt.projection").projection_box_section
        box = lambda row, k: (0 * row, 0 * row + 1, 0 * row + 1, float(k))
        section = lambda s, k, t: jax.vmap(lambda row: project(row, box(row, k)))(s / t)
        yield "jaxopt box section", Operator(section, "jaxopt", "capped")
    if "entmax" in VERSIONS:
        os.environ["OMP_WAIT_POLICY"] = "passive"  # else torch's threads slow all
        bisect = load("entmax.root_finding").budget_bisect
        budget = lambda s, k, t: bisect(s / t, budget=k)
        yield "entmax budget", Operator(budget, "entmax torch", "capped")


def _calls(operator: Operator, scores, k: int):
    """Mask, mask and gradient, of temperature and scores; megabytes of the latter."""
    weights = jax.random.normal(jax.random.key(1), scores.shape)
    mask = lambda t, s: operator.apply(s, k, t)
    if "torch" in operator.package:
        tensor = importlib.import_module("torch").from_dlpack
        vjp = importlib.import_module("torch.autograd.functional").vjp
        both = lambda t, s: vjp(lambda s: mask(t, s), tensor(s), tensor(weights))
        both(1.0, scores)  # starts its threads
        return lambda t, s: mask(t, tensor(s)), both, None

    def with_gradient(t, s, weights):
        value, pull = jax.vjp(functools.partial(mask, t), s)
        return value, *pull(weights[..., : value.shape[-1]])

    forward = jax.jit(mask).lower(1.0, scores).compile()
    compiled = jax.jit(with_gradient).lower(1.0, scores, weights).compile()
    memory: Any = compiled.memory_analysis()
    size = memory.temp_size_in_bytes + memory.output_size_in_bytes
    return forward, lambda t, s: compiled(t, s, weights), size / 1e6


def _run(call, *arguments):
    """The arrays that a call returns, in float64, and its seconds."""
    start = time.perf_counter()
    result = jax.block_until_ready(call(*arguments))
    seconds = time.perf_counter() - start
    arrays = [np.asarray(each, np.float64) for each in jax.tree.leaves(result)]
    if not all(np.isfinite(each).all() for each in arrays):
        raise FloatingPointError
    return arrays, seconds


def _settle(operator: Operator, scores, k: int) -> dict[str, Any]:
    """The operator at the last temperature that works, and why not at the next."""
    t, found = None, dict[str, Any](note="")
    try:
        forward, both, megabytes = _calls(operator, scores, k)
        for t in operator.temperatures:
            arrays, seconds = _run(both, t, scores)
            miss = float(abs(arrays[0].sum(-1) - k).max())
            if len(operator.temperatures) > 1 and miss > k / 100:
                raise ArithmeticError
            found |= dict(temperature=t, forward=forward, both=both, arrays=arrays)
            found |= dict(seconds=seconds, miss=miss, memory_mb=megabytes)
            found["note"] = "timed once. " if seconds > SLOW else ""
            if seconds > TOO_LONG:
                raise TimeoutError
    except Exception as error:
        found["note"] += f"{type(error).__name__} at temperature {t}"
    return found


def _timed_rows(chosen: dict[str, Operator], scores, repeats: int):
    batch, n = scores.shape
    settled = {name: _settle(each, scores, n // 4) for name, each in chosen.items()}
    works = {name: found for name, found in settled.items() if "both" in found}
    quick, slow = {}, {}
    for name, found in works.items():
        for part in PARTS:
            call = functools.partial(found[part], found["temperature"], scores)
            (slow if found["seconds"] > SLOW else quick)[f"{name} {part}"] = call
    rows, top_k = [], "jax.lax.top_k forward"
    turns = costs.seconds_by_turn(quick | dict(again=quick[top_k]), repeats=repeats)
    turns |= {name: [_run(call)[1]] * repeats for name, call in slow.items()}
    ratios = {name: costs.ratio_quartiles(turns[name], turns[top_k]) for name in turns}
    for name, found in settled.items():
        _, package, same_as, _ = chosen[name]
        row: dict[str, Any] = {field: found.get(field) for field in COLUMNS}
        row |= dict(operator=name, n=n, batch=batch, top_k_again=ratios["again"][1])
        row["miss"] = None if name in SORTED else found.get("miss")
        known = [f"{each} {VERSIONS.get(each, '')}" for each in package.split()]
        row["package"] = ", ".join(known).rstrip()
        for part in PARTS if name in works else ():
            row[f"{part}_ms"] = 1e3 * statistics.median(turns[f"{name} {part}"])
            low, row[f"{part}_ratio"], high = ratios[f"{name} {part}"]
            row |= dict(both_ratio_q1=low, both_ratio_q3=high)
        if name in works and same_as in works:
            ours, _ = _run(works[same_as]["both"], found["temperature"], scores)
            off = [abs(a - b).max() for a, b in zip(ours, found["arrays"], strict=True)]
            row["difference"] = float(off[0])
            row["gradient_difference"] = float(off[1] / abs(ours[1]).max())
        rows.append(row)
    return rows


def _hard_row(name: str, operator: Operator, scores):
    some = lambda every, value: scores.at[:, ::every].set(value)
    inputs = dict(ties=scores.round(), equal=0 * scores, offset=scores + 1e8)
    inputs |= dict(tiny=1e-8 * scores, wide=1e6 * scores)
    inputs |= {"-inf": some(2, -np.inf), "inf": some(16, np.inf)}
    _, both, _ = _calls(operator, scores, scores.shape[-1] // 4)
    broken = []
    for hard, t in [(hard, t) for hard in inputs for t in (1.0, 1e-3)]:
        try:
            _run(both, t, inputs[hard])
        except Exception:
            broken.append(f"{hard} at {t:g}")
    rate = len(broken) / (2 * len(inputs))
    return dict(operator=name, nan_rate=rate, broken_by=", ".join(broken))


def _draw(figure, rows, busy: str):
    """Time per score, with its quartiles: a panel per shape, a row per operator."""
    times = []
    for row in sorted(rows, key=itemgetter("n", "batch")):
        if row["both_ms"]:
            each = 1e6 * row["both_ms"] / row["both_ratio"] / row["n"] / row["batch"]
            low, high = (row[f"both_ratio_{end}"] for end in ("q1", "q3"))
            time = (each * low, each * row["both_ratio"], each * high)
            of = "dynsparse" if "dynsparse" in row["package"] else "others"
            shape = f"n = {row['n']:,}\nbatch {row['batch']:,}"
            times.append(dict(operator=row["operator"], of=of, shape=shape, time=time))
    pace = {
        name: statistics.geometric_mean(row["time"][1] for row in some)
        for name, some in grouped(times, itemgetter("operator")).items()
    }
    panels = reports.draw_panels(
        figure,
        sorted(times, key=lambda row: -pace[row["operator"]]),
        x="time",
        y="operator",
        hue="of",
        panel="shape",
        baselines=["others"],
        labels=dict(time="ns per score", operator=""),
        share=True,
    )
    panels[0].set_xscale("log")
    figure.suptitle(f"Forward and backward{busy}")
