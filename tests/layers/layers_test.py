"""Properties of gated layers beside the agreement of their executions."""

import collections
import functools
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse import layers
from dynsparse.gates import evaluating
from dynsparse.layers.base import branches
from tests.layers.masked_equals_compact_test import run
from tests.layers.small_layers import LAYERS, TOKENS, WIDTH, build, inputs, output
from tests.layers.zoo.zoo import ZOO
from tests.sampled import sampled, unless

X = jax.random.normal(jax.random.key(3), (5, TOKENS, WIDTH))
LEARNED = [  # by one gate; by the other where it is marked full
    pytest.param(
        layer,
        gate,
        marks=unless(gate == "soft_topk" or "soft_topk" not in row.gates),
    )
    for layer, row in LAYERS.items()
    for gate in row.gates
    if gate in ("soft_topk", "gumbel_sigmoid") and layer != "width"
]


@pytest.mark.parametrize(("layer", "gate"), LEARNED)
def test_masked_execution_teaches_scorer_and_host(layer, gate):
    graphdef, params, rest = nnx.split(build(layer, gate), nnx.Param, ...)
    rest, x = nnx.to_pure_dict(rest), inputs(layer, 5)

    def loss(params):
        module = nnx.merge(graphdef, params, rest)
        return jnp.square(output(module(x))).sum()

    gradient = jax.jit(jax.grad(loss))(params)
    if layer == "exits":
        gradient = gradient["rest"][0]
    for part in ("scorer", "host"):
        leaves = jax.tree.leaves(gradient[part])
        assert all(np.isfinite(leaf).all() for leaf in leaves)
        assert sum(bool(np.any(leaf)) for leaf in leaves) > len(leaves) // 2


def test_closed_tokens_do_not_touch_the_open_ones():
    module = evaluating(build("tokens", "soft_topk"))
    _, (mask,) = run(module, X)
    # The same decision for inputs that differ only where it is closed.
    output = jax.jit(lambda x: module.host(x, mask) * mask[..., None])
    disturbed = jnp.where(mask[..., None] > 0, X, X[:, ::-1, ::-1])
    np.testing.assert_allclose(output(disturbed), output(X), atol=1e-5)


def test_dense_execution_asks_no_gate():
    module = build("tokens", "random_topk")
    output, (mask,) = run(nnx.view(module, execution="dense"), X)
    np.testing.assert_array_equal(mask, 1)
    host = jax.jit(lambda x: module.host(x, None))
    np.testing.assert_allclose(output, host(X), atol=1e-6)


def test_a_layer_that_is_called_twice_in_a_pass_is_refused():
    class Twice(nnx.Module):
        def __init__(self):
            self.layer = build("neurons", "soft_topk")

        def __call__(self, x):
            return self.layer(self.layer(x))

    with pytest.raises(ValueError, match="^layer is called 2 times in one pass"):
        run(Twice(), inputs("neurons", 2))


def test_calls_outside_capture_leave_nothing_behind():
    module = build("tokens", "soft_topk")
    before = jax.tree.structure(nnx.state(module))
    jax.jit(lambda x: module(x))(X)
    assert jax.tree.structure(nnx.state(module)) == before


@pytest.mark.parametrize("density", [0.25, 0.5])
def test_densities_compile_masked_execution_once(density):
    graphdef, state = nnx.split(build("tokens", "soft_topk"))
    traces = 0

    @jax.jit
    def apply(state, density):
        nonlocal traces
        traces += 1
        module = nnx.merge(graphdef, state)
        module.gate.density[...] = density
        return module(X)[1].sum(-1)

    for value in (density, 2 * density):
        np.testing.assert_array_equal(apply(state, value), round(value * TOKENS))
    assert traces == 1


@pytest.mark.parametrize("layer", sampled(["tokens", "neurons"], ["neurons"]))
def test_compact_execution_compiles_once_per_rung_and_batch(layer):
    module, compiled = build(layer, "soft_topk"), collections.Counter()
    rungs = {
        density: nnx.split(evaluating(module, execution="compact", density=density))
        for density in (0.25, 0.5, 1.0)
    }

    @functools.partial(jax.jit, static_argnums=0)
    def apply(density, state, x):
        compiled[density, len(x)] += 1
        return output(nnx.merge(rungs[density][0], state)(x))

    for scale in (1.0, 2.0):  # other weights and inputs are no other programs
        for density, (_, state) in rungs.items():
            state = jax.tree.map(lambda leaf, scale=scale: leaf * scale, state)
            for batch in (1, 3):
                apply(density, state, scale * inputs(layer, batch))
    assert compiled == {(d, batch): 1 for d in rungs for batch in (1, 3)}
    assert apply._cache_size() == 6


def test_every_granularity_is_in_the_table():
    exported = [getattr(layers, name) for name in layers.__all__]
    kinds = [kind for kind in exported if isinstance(kind, type)]
    gated = {kind for kind in kinds if issubclass(kind, layers.GatedLayer)}
    built = {
        type(module)
        for layer in LAYERS
        for _, module in nnx.iter_modules(build(layer, "dense"))
        if isinstance(module, layers.GatedLayer)
    }
    elsewhere = {layers.GatedLayer, layers.HostTokens, layers.HostExit}
    elsewhere |= {layers.GatedUnits, layers.HostExperts}
    assert gated - elsewhere == built
    kinds = {kind for entry in ZOO.values() for kind in entry.fits}
    wanted = {"blocks", "bypass", "heads", "neurons", "width", "channels", "experts"}
    assert kinds == wanted


@pytest.mark.parametrize("layer", ["neurons", "experts"])
def test_rows_that_are_closed_run_nothing(layer):
    """Inside of dropped tokens: no unit of a closed token is open, in any execution."""
    module, x = build(layer, "soft_topk"), inputs(layer, 3)
    mask = np.broadcast_to(np.float32(np.arange(TOKENS) % 3 > 0), (3, TOKENS))
    for execution in ("masked", "compact", "dense"):
        _, (opened,) = run(evaluating(module, execution=execution), x, mask)
        opened = np.asarray(opened)
        assert not opened[:, ::3].any()
        assert opened[:, 1::3].any()


def test_who_left_stays_away_and_keeps_the_answer():
    module, x = build("exits", "gumbel_sigmoid"), inputs("exits", 64)
    module = evaluating(module)
    logits, masks = run(module, x)
    first, second = (np.asarray(mask)[:, 0] for mask in masks)
    assert (second <= first).all()
    assert 0 < second.sum() < first.sum() < 64
    left = first == 0
    answer = jax.jit(lambda x: module.first.exit(x))(x)
    np.testing.assert_allclose(logits[left], answer[left], atol=1e-6)


def test_widths_are_nested():
    module, x = build("width", "soft_topk"), inputs("width", 2)
    host = module.host
    hidden = np.asarray(jax.jit(lambda x: host.activation(host.up(x)))(x))
    down = jax.jit(lambda hidden: host.down(hidden))
    for k in range(5):
        view = nnx.view(module, execution="compact", density=k / 4)
        first = hidden * (np.arange(hidden.shape[-1]) < 4 * k)
        np.testing.assert_allclose(run(view, x)[0], down(first), atol=1e-5)


def test_late_tokens_are_dropped_where_that_was_asked_for():
    free, limited = (
        build("experts", "gumbel_sigmoid"),
        build("dropped", "gumbel_sigmoid"),
    )
    decide = lambda module: evaluating(module).decide(inputs("experts", 5)).mask
    before, after = decide(free), decide(limited)
    taken = jnp.cumsum(before > 0, 1) <= 6
    np.testing.assert_array_equal(after, before * taken)
    assert (after < before).any()


def test_experts_that_choose_have_the_same_load():
    module, x = build("expert_choice", "soft_topk"), inputs("expert_choice", 5)
    _, (mask,) = run(evaluating(module), x)
    assert mask.shape == (5, 4, TOKENS)
    assert len(np.unique(np.sum(mask, -1))) == 1
    assert len(np.unique(np.sum(mask, 1))) > 1  # of the tokens


def test_decisions_of_one_thread_are_no_others():
    found = []
    with branches.ledger() as ledger:
        other = threading.Thread(
            target=lambda: found.append(branches.noted(None, None))
        )
        other.start()
        other.join()
        assert branches.noted("layer", "decision")
    assert (ledger, found) == ([("layer", "decision")], [False])


def test_shorter_sequences_open_their_share():
    module, x = build("tokens", "soft_topk"), inputs("tokens", 3)[:, :8]
    view = evaluating(module, density=0.5)
    masked, (mask,) = run(view, x)
    np.testing.assert_array_equal(np.sum(mask, -1), 4)
    compact, _ = run(evaluating(view, execution="compact"), x)
    np.testing.assert_allclose(compact, masked, atol=1e-5)


@pytest.mark.parametrize("layer", ["tokens", "blocks", "positions", "neurons"])
def test_fewer_capacities_are_fewer_branches(layer):
    module, x = build(layer, "gumbel_sigmoid"), inputs(layer, 16)

    def branches(steps):
        view = evaluating(module, execution="compact", capacity_steps=steps)
        graphdef, state = nnx.split(view)
        run = lambda state, x: output(nnx.merge(graphdef, state)(x))
        text = str(jax.make_jaxpr(run)(state, x))
        work = text.count("dot_general") + text.count("conv_general")
        return text.count("cond["), work

    few, many = branches(1), branches(8)
    assert few[0] == many[0] > 0
    assert few[1] < many[1]
