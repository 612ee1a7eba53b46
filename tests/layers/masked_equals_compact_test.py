"""The two executions give the same answer, for every layer and kind of gate."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse.gates import GateRecord, records
from tests.layers.rows import LAYERS, PAIRS, SPECS, TOKENS, WIDTH, build, compact_view

BATCHES = (1, 7, 64)
NOISE = 5  # of random controls: both executions replay it


def inputs(batch, dtype=jnp.float32):
    return jax.random.normal(jax.random.key(batch), (batch, TOKENS, WIDTH), dtype)


def run(module, x):
    """Compiled, as users run it; returns the output and the decision."""
    graphdef, state = nnx.split(module)

    @jax.jit
    def apply(state, x):
        module = nnx.merge(graphdef, state)
        nnx.reseed(module, gate=NOISE)
        output, captured = nnx.capture(module, GateRecord)(x)
        return output, next(iter(records(captured).values()))

    return apply(state, x)


@functools.cache
def both(layer, gate, batch, dtype=jnp.float32, bias=0.0):
    module = build(layer, gate, dtype)
    module.scorer.score.bias[...] += bias
    x = inputs(batch, dtype)
    masked = run(nnx.view(module, deterministic=True), x)
    compact = run(compact_view(module, gate), x)
    output = LAYERS[layer].output
    return (output(masked[0]), masked[1]), (output(compact[0]), compact[1]), x


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(("layer", "gate"), PAIRS)
def test_outputs_agree(layer, gate, batch):
    (masked, _), (compact, _), _ = both(layer, gate, batch)
    np.testing.assert_allclose(compact, masked, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(("layer", "gate"), PAIRS)
def test_decisions_are_identical(layer, gate, batch):
    (_, masked), (_, compact), _ = both(layer, gate, batch)
    np.testing.assert_array_equal(compact.mask, masked.mask)


@pytest.mark.parametrize("gate", sorted(SPECS))
def test_every_gate_agrees_in_one_layer(gate):
    (masked, decision), (compact, same), _ = both("tokens", gate, 7)
    np.testing.assert_allclose(compact, masked, atol=1e-5, rtol=1e-5)
    np.testing.assert_array_equal(decision.mask, same.mask)
    assert decision.mask.any()


@pytest.mark.parametrize("layer", LAYERS)
def test_varying_counts_do_vary(layer):
    (_, decision), _, _ = both(layer, "gumbel_sigmoid", 64)
    assert len(np.unique(decision.mask.sum(-1))) > 1


@pytest.mark.parametrize("bias", [-100.0, 100.0])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("layer", LAYERS)
def test_outputs_agree_where_none_or_all_are_open(layer, batch, bias):
    (masked, decision), (compact, _), _ = both(
        layer, "gumbel_sigmoid", batch, jnp.float32, bias
    )
    assert (decision.mask == (bias > 0)).all()
    np.testing.assert_allclose(compact, masked, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layer", LAYERS)
def test_outputs_agree_in_bfloat16(layer):
    (masked, _), (compact, _), _ = both(layer, "gumbel_sigmoid", 7, jnp.bfloat16)
    assert compact.dtype == jnp.bfloat16
    difference = (compact - masked).astype(jnp.float32)
    size = jnp.abs(masked.astype(jnp.float32)).max()
    assert jnp.abs(difference).max() <= 2**-6 * size  # two of eight bits


# A random control's draw belongs to the place in the batch, by design.
@pytest.mark.parametrize(("layer", "gate"), [p for p in PAIRS if p[1] != "random_topk"])
def test_no_example_depends_on_its_neighbours(layer, gate):
    (_, _), (compact, decision), x = both(layer, gate, 7)
    index = int(decision.mask.any(-1).argmax())  # one that runs something
    alone, _ = run(compact_view(build(layer, gate), gate), x[index][None])
    np.testing.assert_allclose(
        LAYERS[layer].output(alone)[0], compact[index], atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("density", [0.0, 0.25, 1.0])
def test_static_densities_agree_with_the_density_variable(density):
    module = build("tokens", "soft_topk")
    module.gate.density[...] = jnp.float32(density)
    x = inputs(7)
    masked, _ = run(nnx.view(module, deterministic=True), x)
    view = nnx.view(module, deterministic=True, execution="compact", density=density)
    np.testing.assert_allclose(run(view, x)[0][0], masked[0], atol=1e-5)


def test_compact_execution_without_a_density_reads_the_variable():
    module = build("tokens", "soft_topk")
    x = inputs(7)
    masked, _ = run(nnx.view(module, deterministic=True), x)
    compact, _ = run(nnx.view(module, deterministic=True, execution="compact"), x)
    np.testing.assert_allclose(compact[0], masked[0], atol=1e-5)
