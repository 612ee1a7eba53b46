"""The two executions give the same answer, for every layer and kind of gate."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse.budgets import set_density
from dynsparse.gates import (
    GateRecord,
    TopkGate,
    deterministic_output,
    evaluating,
    records,
)
from tests.layers.small_layers import (
    LAYERS,
    PAIRS,
    SPECS,
    VARYING_LAYERS,
    build,
    compact_view,
    inputs,
    output,
)
from tests.sampled import sampled, unless

BATCHES = (1, 7, 64)
NOISE = 5  # of random controls: both executions replay it
# One gate of a fixed and one of a varying count; the full product is marked so.
USUAL = ("gumbel_sigmoid", "soft_topk")
OTHER_BATCHES = (  # that are tried as well
    ("neurons", "gumbel_sigmoid", 64),
    ("neurons", "soft_topk", 1),
    ("tokens", "gumbel_sigmoid", 1),
    ("tokens", "soft_topk", 64),
)
NARROW = ("exits", "experts", "heads", "positions", "tokens")  # tried in bfloat16
KINDS = ("ema_threshold", "gumbel_softmax", "random_topk", "relu_routing", *USUAL)


PRODUCT = [
    pytest.param(
        layer,
        gate,
        batch,
        marks=unless(
            (layer, gate, batch) in OTHER_BATCHES or (gate in USUAL and batch == 7)
        ),
    )
    for layer, gate in PAIRS
    for batch in BATCHES
]


@functools.partial(jax.jit, static_argnums=0)
def apply(graphdef, state, *arguments):
    module = nnx.merge(graphdef, state)
    nnx.reseed(module, gate=NOISE)
    result, captured = nnx.capture(module, GateRecord)(*arguments)
    return output(result), [r.mask for r in records(captured).values()]


def run(module, *arguments):
    """Compiled, as users run it; returns the output and the decisions, in order."""
    return apply(*nnx.split(module), *arguments)


def is_hard(mask):
    return bool(((mask == 0) | (mask == 1)).all())


@functools.cache
def both(layer, gate, batch, dtype=jnp.float32, bias=0.0):
    module, x = build(layer, gate, dtype, bias=bias), inputs(layer, batch, dtype)
    masked = run(evaluating(module), x)
    return masked, run(compact_view(module, gate), x), x


@pytest.mark.parametrize(("layer", "gate", "batch"), PRODUCT)
def test_outputs_and_decisions_agree(layer, gate, batch):
    (masked, decisions), (compact, same), _ = both(layer, gate, batch)
    np.testing.assert_allclose(compact, masked, atol=1e-5, rtol=1e-5)
    for one, other in zip(decisions, same, strict=True):
        if LAYERS[layer].chained and not is_hard(one):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=0)  # zeros are exact
        else:
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("gate", sampled(sorted(SPECS), KINDS))
def test_every_gate_agrees_in_one_layer(gate):
    (masked, decision), (compact, same), _ = both("neurons", gate, 7)
    np.testing.assert_allclose(compact, masked, atol=1e-5, rtol=1e-5)
    np.testing.assert_array_equal(*decision, *same)
    assert decision[0].any()


@pytest.mark.parametrize("layer", VARYING_LAYERS)
def test_varying_counts_do_vary(layer):
    (_, decisions), *_ = both(layer, "gumbel_sigmoid", 7)
    for mask in decisions:
        counts = mask.sum(tuple(range(1, mask.ndim)))
        assert len(np.unique(counts)) > 1


EXTREMES = [
    pytest.param(batch, bias, marks=unless(batch == 7))
    for batch in BATCHES
    for bias in (-100.0, 100.0)
]


@pytest.mark.parametrize(("batch", "bias"), EXTREMES)
@pytest.mark.parametrize("layer", [n for n in VARYING_LAYERS if n != "dropped"])
def test_outputs_agree_where_none_or_all_are_open(layer, batch, bias):
    (masked, decisions), (compact, _), _ = both(
        layer, "gumbel_sigmoid", batch, jnp.float32, bias
    )
    assert all((mask == (bias > 0)).all() for mask in decisions)
    np.testing.assert_allclose(compact, masked, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layer", sampled(LAYERS, NARROW))
def test_outputs_agree_in_bfloat16(layer):
    gate = "soft_topk" if layer == "width" else "gumbel_sigmoid"
    (masked, _), (compact, _), _ = both(layer, gate, 7, jnp.bfloat16)
    assert compact.dtype == masked.dtype == jnp.bfloat16
    difference = (compact - masked).astype(jnp.float32)
    size = jnp.abs(masked.astype(jnp.float32)).max()
    assert jnp.abs(difference).max() <= 2**-6 * size  # two of eight bits


@pytest.mark.parametrize(
    "layer", [n for n, row in LAYERS.items() if row.reads != "codes"]
)
def test_narrow_inputs_give_the_same_type(layer):
    gate = "soft_topk" if layer == "width" else "gumbel_sigmoid"
    module, x = build(layer, gate), inputs(layer, 7, jnp.bfloat16)
    views = evaluating(module), compact_view(module, gate)
    masked, compact = (apply.eval_shape(*nnx.split(view), x)[0] for view in views)
    assert compact.dtype == masked.dtype
    if layer in ("neurons", "tokens"):
        (masked, _), (compact, _) = (run(view, x) for view in views)
        np.testing.assert_allclose(compact, masked, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("layer", ["tokens", "bypass", "positions"])
def test_nothing_open_has_the_type_of_something_open(layer):
    module, x = build(layer, "soft_topk"), inputs(layer, 7, jnp.bfloat16)
    set_density(module, jnp.float32(0))
    masked, _ = run(evaluating(module), x)
    compact, _ = run(evaluating(module, execution="compact", density=0.0), x)
    assert compact.dtype == masked.dtype
    np.testing.assert_array_equal(compact, masked)


# A random control's draw belongs to the place in the batch, by design.
FIXED_COUNTS = (("soft_topk", "tokens"), ("soft_topk", "width"))
SINGLY = ("experts", "positions", "tokens")  # whose batch of one is compiled as well
# In a batch of copies it has other neighbours, in a batch of one it has none.
ALONE = [
    pytest.param(
        layer,
        gate,
        number,
        marks=unless(
            (gate == "gumbel_sigmoid" or (gate, layer) in FIXED_COUNTS)
            and (number == 7 or layer in SINGLY)
        ),
    )
    for layer, gate in PAIRS
    if gate != "random_topk"
    for number in (1, 7)
]


@pytest.mark.parametrize(("layer", "gate", "number"), ALONE)
def test_no_example_depends_on_its_neighbours(layer, gate, number):
    _, (compact, decisions), x = both(layer, gate, 7)
    opened = decisions[0].reshape(7, -1).any(-1)
    index = int(opened.argmax())  # one that runs something
    view = compact_view(build(layer, gate), gate)
    alone, _ = run(view, jnp.stack([x[index]] * number))
    np.testing.assert_allclose(alone[0], compact[index], atol=1e-5, rtol=1e-5)


STATIC = [
    *itertools.product(["tokens", "positions", "experts", "width"], [0.0, 0.25, 1.0]),
    ("dropped", 1.0),
]


@pytest.mark.parametrize(("layer", "density"), STATIC)
def test_static_densities_agree_with_the_density_variable(layer, density):
    module, x = build(layer, "soft_topk"), inputs(layer, 7)
    module.gate.density[...] = jnp.float32(density)
    masked, _ = run(evaluating(module), x)
    view = evaluating(module, execution="compact", density=density)
    np.testing.assert_allclose(run(view, x)[0], masked, atol=1e-5)


class Forbidding(nnx.Module):
    """Forbids most units, each example others."""

    def __init__(self, scorer):
        self.scorer = scorer

    def __call__(self, features):
        scores = self.scorer(features)
        allowed = jax.random.bernoulli(jax.random.key(3), 0.3, scores.shape)
        return jnp.where(allowed, scores, -jnp.inf)


# Where compact execution runs a count that is known when it is compiled.
GATHERED = ("bypass", "channels", "features", "positions", "tokens")
FORBIDDEN = [
    pytest.param(layer, density, marks=unless(density == 1 or layer in GATHERED))
    for layer, gate in PAIRS
    for density in (0.5, 1.0)
    if gate == "soft_topk" and layer != "width"  # whose scorer forbids nothing
]


@pytest.mark.parametrize(("layer", "density"), FORBIDDEN)
def test_what_scores_forbid_is_closed_at_every_density(layer, density):
    module, x = build(layer, "soft_topk"), inputs(layer, 7)
    module.scorer = Forbidding(module.scorer)
    module.gate.density[...] = jnp.float32(density)
    masked, decisions = run(evaluating(module), x)
    view = evaluating(module, execution="compact", density=density)
    compact, same = run(view, x)
    np.testing.assert_allclose(compact, masked, atol=1e-5, rtol=1e-5)
    np.testing.assert_array_equal(*decisions, *same)
    assert 0 < decisions[0].mean() < 0.6 * density


class Halves(TopkGate):
    """Opens all units by half, as some gates do in training."""

    def __call__(self, scores):
        return deterministic_output(jnp.full_like(scores, 0.5))


@pytest.mark.parametrize("layer", ["channels", "positions"])
def test_soft_masks_of_training_agree_where_the_density_is_static(layer):
    module, x = build(layer, "soft_topk"), inputs(layer, 7)
    module.gate = Halves(density=0.5, rngs=nnx.Rngs(0))
    view = nnx.view(evaluating(module, density=0.5), deterministic=False)
    masked, _ = run(view, x)
    compact, _ = run(nnx.view(view, execution="compact"), x)
    np.testing.assert_allclose(compact, masked, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layer", ["tokens", "heads"])
def test_compact_execution_without_a_density_reads_the_variable(layer):
    module, x = build(layer, "soft_topk"), inputs(layer, 7)
    masked, _ = run(evaluating(module), x)
    compact, _ = run(evaluating(module, execution="compact"), x)
    np.testing.assert_allclose(compact, masked, atol=1e-5)
