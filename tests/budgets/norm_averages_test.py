"""Running averages of norms at one density."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dynsparse
from dynsparse.budgets import averages_at
from dynsparse.gates import evaluating
from dynsparse.serving import Ladder
from tests.layers.small_layers import TOKENS, WIDTH, build

BATCHES = [jax.random.normal(jax.random.key(i), (6, TOKENS, WIDTH)) for i in range(3)]


class Normed(nnx.Module):
    """Gated neurons behind a norm, and before one."""

    def __init__(self):
        self.first = nnx.BatchNorm(WIDTH, rngs=nnx.Rngs(0))
        self.neurons = build("neurons", "soft_topk")
        self.norm = nnx.BatchNorm(WIDTH, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.norm(self.neurons(self.first(x))).mean(1)


call = nnx.jit(lambda model, x: model(x))


def normalized(x):
    mean, var = (f((0, 1), keepdims=True) for f in (x.mean, x.var))
    return (x - mean) / jnp.sqrt(var + 1e-5)


@pytest.mark.parametrize("density", [0.25, 1.0])
def test_averages_are_those_of_what_norms_see_at_the_density(density):
    model = Normed()
    nnx.update(model, averages_at(model, density, BATCHES))
    neurons = evaluating(model.neurons, density=density)
    seen = [np.asarray(call(neurons, normalized(x))) for x in BATCHES]
    for name in ("mean", "var"):
        expected = np.mean([getattr(x, name)((0, 1)) for x in seen], 0)
        np.testing.assert_allclose(
            getattr(model.norm, name)[...], expected, rtol=1e-4, atol=1e-6
        )
    np.testing.assert_allclose(
        model.first.mean[...], np.mean([x.mean((0, 1)) for x in BATCHES], 0), atol=1e-6
    )


def test_the_model_stays_as_it_was():
    model = Normed()
    before = jax.tree.map(jnp.copy, nnx.state(model))
    averages_at(model, 0.25, BATCHES)
    jax.tree.map(np.testing.assert_array_equal, before, nnx.state(model))
    assert model.norm.momentum == 0.99
    assert not model.norm.use_running_average


def test_norms_that_rest_in_training_keep_their_averages():
    model = Normed()
    model.norm.use_running_average = True
    averages = averages_at(model, 0.25, BATCHES)
    np.testing.assert_array_equal(averages["norm"]["mean"][...], 0)
    assert averages["first"]["mean"][...].any()


def test_at_least_one_batch_is_needed_where_there_are_norms():
    assert not averages_at(build("neurons", "soft_topk"), 0.25, [])
    with pytest.raises(ValueError, match="at least one batch, got none"):
        averages_at(Normed(), 0.25, [])


def test_rungs_answer_by_the_averages_of_their_density():
    model, examples = Normed(), np.asarray(BATCHES[0][:2])
    ladder = Ladder.compile(
        model,
        examples=examples,
        budgets=(0.6, 1.0),
        batch_sizes=(2,),
        inputs=BATCHES,
        repeats=1,
    )
    assert len(ladder.rungs) == 2
    for index, rung in enumerate(ladder.rungs):
        own = nnx.clone(model)
        nnx.update(own, averages_at(own, rung.density, BATCHES))
        expected = call(evaluating(own, density=rung.density), examples)
        np.testing.assert_allclose(ladder(index, examples), expected, atol=1e-5)
        assert np.abs(call(evaluating(model), examples) - expected).max() > 1e-2


def test_batches_may_be_calls():
    class Flagged(Normed):
        def __call__(self, x, *, scale, train):
            return super().__call__(scale * x) if not train else None

    calls = [dynsparse.call(x / 2, scale=2.0, train=False) for x in BATCHES]
    found = averages_at(Flagged(), 0.25, calls)
    expected = averages_at(Normed(), 0.25, BATCHES)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
