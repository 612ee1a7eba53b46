"""The gates and what holds for each. A new gate adds one row to GATES."""

import dataclasses
import functools
from typing import Literal

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from dynsparse import gates
from dynsparse.gates import GateOutput
from tests.sampled import sampled

N = 16
WEIGHTS = jnp.linspace(0.0, 1.0, N)  # a plain sum can be constant, e.g. always k


@dataclasses.dataclass(frozen=True)
class Row:
    """What holds for a gate.

    Attributes:
        spec: Its config.
        learns: Whether the scores receive a gradient through the mask, from the losses
            of several passes, or not at all.
        open_prob: What it is in training: the probability that the mask is above
            `opens_above`; a relaxed mask of the same sum; or the mask itself.
        unbiased: Losses of which its gradient is the expected loss's: those linear in
            the mask, all, or none.
        random: Whether it stays random in evaluation.
        soft: Whether masks are soft in evaluation, between exact zeros and ones.
        opens_above: Mask from which a unit counts as open.
    """

    spec: dict
    learns: Literal["mask", "losses"] | None = "mask"
    open_prob: Literal["probability", "relaxed", "mask"] = "probability"
    unbiased: Literal["linear", "all"] | None = None
    random: bool = False
    soft: bool = False
    opens_above: float = 0.5


def topk(name, **keys):
    return dict(name=name, density=0.25, **keys)


GATES = [
    Row(dict(name="bernoulli_straight_through"), unbiased="linear"),
    Row(dict(name="binary_concrete", temperature=0.5)),
    Row(topk("capped_entmax", temperature=2.0, alpha=1.5), open_prob="relaxed"),
    Row(dict(name="dense"), learns=None),
    Row(topk("dftopk", temperature=0.5), open_prob="mask"),
    Row(dict(name="disarm"), learns="losses", unbiased="all"),
    Row(
        dict(name="ema_threshold", density=0.25, temperature=0.5, decay=0.9),
        open_prob="relaxed",
    ),
    Row(dict(name="gumbel_sigmoid", temperature=2 / 3)),
    Row(dict(name="gumbel_softmax", temperature=1.0)),
    Row(topk("gumbel_topk", temperature=0.5), open_prob="mask"),
    Row(
        dict(name="hard_concrete", temperature=2 / 3, low=-0.1, high=1.1),
        soft=True,
        opens_above=0.0,
    ),
    Row(topk("hard_topk"), learns=None, open_prob="mask"),
    Row(topk("imle", step=2.0), open_prob="mask"),
    Row(
        dict(name="learned_threshold", temperature=0.5, threshold=0.2),
        open_prob="mask",
    ),
    Row(topk("neural_sort", temperature=10.0), open_prob="mask"),
    Row(dict(name="nucleus", p=0.7, temperature=2.0), open_prob="mask"),
    Row(topk("perturbed_topk", sigma=0.5, num_samples=50), open_prob="mask"),
    Row(dict(name="random_bernoulli", density=0.25), learns=None, random=True),
    Row(topk("random_topk"), learns=None, random=True),
    Row(dict(name="reinforce", samples=3), learns="losses", unbiased="all"),
    Row(dict(name="reinmax", temperature=1.0), unbiased="linear"),
    Row(topk("relaxed_subset", temperature=0.5), open_prob="mask"),
    Row(dict(name="relu_routing"), open_prob="mask", soft=True, opens_above=0.0),
    Row(dict(name="semantic_hash")),
    Row(dict(name="sigmoid_straight_through", temperature=1.0), open_prob="mask"),
    Row(topk("simple", temperature=0.7), unbiased="linear"),
    Row(
        dict(name="smooth_step", width=4.0),
        open_prob="mask",
        soft=True,
        opens_above=0.0,
    ),
    Row(topk("soft_sort", temperature=0.5), open_prob="mask"),
    Row(topk("soft_topk", temperature=0.5, family="logistic"), open_prob="relaxed"),
    Row(dict(name="sparsemax", temperature=4.0), open_prob="mask"),
    Row(topk("systematic_topk", temperature=0.5, family="laplace"), unbiased="linear"),
]
LEARNING = [row for row in GATES if row.learns]
FIXED = [
    row for row in GATES if issubclass(gates.find(row.spec["name"]), gates.TopkGate)
]
by_name = lambda row: row.spec["name"]
ROWS = {by_name(row): row for row in GATES}
# One of each way to decide and to learn: what all have in common is tried with these.
KINDS = (
    "bernoulli_straight_through",
    "dense",
    "disarm",
    "ema_threshold",
    "gumbel_softmax",
    "hard_concrete",
    "imle",
    "random_topk",
    "relaxed_subset",
    "simple",
    "soft_topk",
    "sparsemax",
)
of_each_kind = lambda rows: sampled(rows, KINDS, by_name)
every_gate = pytest.mark.parametrize("row", GATES, ids=by_name)
sampled_gates = pytest.mark.parametrize("row", of_each_kind(GATES), ids=by_name)
learning_gates = pytest.mark.parametrize("row", of_each_kind(LEARNING), ids=by_name)
fixed_gates = pytest.mark.parametrize("row", FIXED, ids=by_name)


def build(row, **changes):
    return gates.from_config({**row.spec, **changes}, rngs=nnx.Rngs(0, gate=1))


def deterministic(gate, **view):
    return nnx.view(gate, deterministic=True, **view)


@functools.partial(jax.jit, static_argnums=0)
def decide(graphdef, state, scores):
    return nnx.merge(graphdef, state)(scores)


@functools.cache
def compiled(name, *, evaluation=False, **changes):
    """The gate of a row; the same noise at every call."""
    gate = build(ROWS[name], **changes)
    return functools.partial(
        decide, *nnx.split(deterministic(gate) if evaluation else gate)
    )


@functools.cache
def learning(name):
    """Of one row of scores: the decision and its `slopes`."""
    gate = compiled(name)  # built here: not inside of a trace that it would outlive

    def sums(scores):
        decision = gate(scores)
        return GateOutput(*(WEIGHTS @ part for part in decision)), decision

    def call(scores):
        slopes, decision = jax.jacrev(sums, has_aux=True)(scores)
        return decision, slopes

    return jax.jit(call)


def slopes(name):
    """Gradients by one row of scores of `WEIGHTS @ mask` and `WEIGHTS @ open_prob`."""
    return lambda scores: learning(name)(scores)[1]


def random_rows(key):
    return 2 * jax.random.normal(key, (64, N))
