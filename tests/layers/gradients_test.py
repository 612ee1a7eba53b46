"""Compact execution: what it differentiates rightly, and what it refuses to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse import gates, layers
from tests.layers.small_layers import LAYERS, WIDTH, build, compact_view, inputs, output

ASKED = [  # by one gate each: layers that decide by scores
    (layer, "gumbel_sigmoid" if "gumbel_sigmoid" in row.gates else "soft_topk")
    for layer, row in LAYERS.items()
    if layer != "width"
]


def slopes(module, x, wanted):
    """Gradients of the parameters that `wanted(path, variable)` names."""
    graphdef, params, rest = nnx.split(
        module, nnx.All(nnx.Param, lambda path, _: wanted(path)), ...
    )
    rest = nnx.to_pure_dict(rest)
    loss = lambda params: jnp.square(output(nnx.merge(graphdef, params, rest)(x))).sum()
    return jax.grad(loss), params


@pytest.mark.parametrize(("layer", "gate"), ASKED)
def test_a_gradient_of_what_compact_execution_decides_is_refused(layer, gate):
    module = compact_view(build(layer, gate), gate)
    slope, params = slopes(module, inputs(layer, 2), lambda path: "scorer" in path)
    with pytest.raises(ValueError, match=r"^\w+ \(unit: .*compact execution.*masked"):
        jax.eval_shape(slope, params)


def test_a_gradient_of_what_a_gate_learned_is_refused():
    module = compact_view(build("neurons", "learned_threshold"), "learned_threshold")
    slope, params = slopes(module, inputs("neurons", 2), lambda path: "gate" in path)
    with pytest.raises(ValueError, match="compact execution does not compute"):
        jax.eval_shape(slope, params)


@pytest.mark.parametrize(
    ("layer", "gate"), [("tokens", "soft_topk"), ("blocks", "gumbel_sigmoid")]
)
def test_hosts_have_the_gradient_of_masked_execution(layer, gate):
    module, x = build(layer, gate), inputs(layer, 3)
    views = gates.evaluating(module), compact_view(module, gate)
    masked, compact = (
        jax.jit(slope)(params)
        for slope, params in (slopes(v, x, lambda path: "host" in path) for v in views)
    )
    for one, other in zip(*map(jax.tree.leaves, (masked, compact)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


FREE = dict(  # what decides without learning
    random=lambda: build("neurons", "random_topk"),
    dense=lambda: build("neurons", "dense"),
    width=lambda: build("width", "soft_topk"),
    evenly=lambda: _with("evenly_spaced"),
    magnitude=lambda: _with("magnitude"),
)


def _with(scorer):
    module = build("tokens", "soft_topk")
    module.scorer = layers.make_scorer(
        dict(name=scorer), type(module), width=WIDTH, num_units=1, rngs=nnx.Rngs(0)
    )
    return module


@pytest.mark.parametrize("kind", FREE)
def test_what_decides_without_learning_may_be_differentiated(kind):
    module = gates.evaluating(FREE[kind](), execution="compact", density=0.5)
    slope, params = slopes(module, inputs("tokens", 2), lambda path: True)
    assert jax.tree.leaves(jax.eval_shape(slope, params))


def test_scorers_that_are_stopped_may_stay():
    module = compact_view(build("tokens", "soft_topk"), "soft_topk")
    graphdef, params, rest = nnx.split(module, nnx.Param, ...)
    params, rest = map(nnx.to_pure_dict, (params, rest))

    def loss(params):
        stopped = jax.tree.map(jax.lax.stop_gradient, params["scorer"])
        module = nnx.merge(graphdef, params | dict(scorer=stopped), rest)
        return module(inputs("tokens", 2))[0].sum()

    slope = jax.eval_shape(jax.grad(loss), params)
    assert jax.tree.structure(slope) == jax.tree.structure(params)


def test_compact_execution_maps_and_exports():
    module, x = (
        compact_view(build("neurons", "soft_topk"), "soft_topk"),
        inputs("neurons", 2),
    )
    graphdef, state = nnx.split(module)
    run = jax.jit(lambda x: nnx.merge(graphdef, state)(x))
    exported = jax.export.export(run)(jax.ShapeDtypeStruct(x.shape, x.dtype))
    np.testing.assert_allclose(exported.call(x), run(x), atol=1e-6)
    mapped = jax.vmap(lambda x: nnx.merge(graphdef, state)(x[None])[0])
    np.testing.assert_allclose(jax.jit(mapped)(x), run(x), atol=1e-5)
