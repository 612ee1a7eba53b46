"""Gated layers inside of gated tokens."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsparse.gates import evaluating
from tests.layers.masked_equals_compact_test import run
from tests.layers.small_layers import TOKENS, Inner, build, inputs


def test_experts_do_not_choose_among_closed_tokens():
    module, x = build("expert_choice", "soft_topk"), inputs("expert_choice", 5)
    with pytest.raises(ValueError, match="inside gated tokens use GatedExperts"):
        module(x, jnp.ones((5, TOKENS)))


@pytest.mark.parametrize(
    ("layer", "density"), [("heads", 0.5), ("neurons", 0.5), ("neurons", 0.0)]
)
def test_layers_inside_of_gated_tokens_decide_the_same(layer, density):
    module, x = build("tokens", "soft_topk"), inputs("tokens", 32)
    module.host = Inner(layer)
    views = [
        evaluating(module, execution=execution, density=density)
        for execution in ("masked", "compact")
    ]
    (masked, decisions), (compact, same) = (run(view, x) for view in views)
    np.testing.assert_allclose(compact, masked, atol=1e-5)
    for one, other in zip(decisions, same, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("mask", [1e-25, 0.0])
def test_heads_read_tokens_that_are_hardly_open(mask):
    heads, x = build("heads", "soft_topk"), inputs("heads", 2)
    loss = lambda mask: jnp.sin(heads.reads(x, mask)).sum()
    slope = jax.grad(loss)(jnp.full(x.shape[:2], mask).at[:, 0].set(0.0))
    np.testing.assert_allclose(slope, x.sum(-1), rtol=1e-5)  # nothing is shared


def test_random_layers_that_nothing_reaches_draw_nothing():
    module, x = build("tokens", "soft_topk"), inputs("tokens", 2)
    module.host = Inner("heads", "random_topk")
    view = evaluating(module, execution="compact", density=0.0)
    _, masks = run(view, x)
    assert sorted(mask.shape for mask in masks) == [(2, 4), (2, TOKENS)]
    assert not any(mask.any() for mask in masks)


@pytest.mark.parametrize("layer", ["dropped", "expert_choice"])
@pytest.mark.parametrize("execution", ["masked", "compact"])
def test_what_counts_tokens_is_refused_inside_of_gated_ones(layer, execution):
    module, x = build("tokens", "soft_topk"), inputs("tokens", 2)
    module.host = Inner(layer, "soft_topk")
    view = evaluating(module, execution=execution, density=0.5)
    with pytest.raises(ValueError, match="decides about all tokens of an example"):
        jax.eval_shape(view, x)
