"""A call of a model: what is data, what is static, and which axis is the batch."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dynsparse

X = jnp.arange(12.0).reshape(3, 4)


def test_a_model_gets_its_arguments_as_they_were_given():
    seen = dynsparse.call(X, dict(a=X, b=(1, None)), flag=True, act=jax.nn.gelu)(
        lambda *args, **kwargs: (args, kwargs)
    )
    (x, pair), kwargs = seen
    assert x is X
    assert pair["a"] is X
    assert pair["b"] == (1, None)
    assert kwargs == dict(flag=True, act=jax.nn.gelu)


def test_arrays_are_data_and_all_else_is_static():
    call = dynsparse.call(X, 2, np.ones(3), "mode", scale=0.5, train=False)
    assert [leaf.shape for leaf in jax.tree.leaves(call)] == [(3, 4), (3,)]
    doubled = jax.tree.map(lambda leaf: 2 * leaf, call)
    assert doubled.args[1:2] + doubled.args[3:] == (2, "mode")
    assert doubled.kwargs == dict(scale=0.5, train=False)
    np.testing.assert_array_equal(doubled.args[0], 2 * X)


def test_a_program_is_traced_once_for_equal_forms_and_shapes():
    traced = []

    @jax.jit
    def run(call):
        traced.append(call)
        return call(lambda x, *, train: x + train)

    for value in (0.0, 1.0):
        run(dynsparse.call(X + value, train=False))
    assert len(traced) == 1
    run(dynsparse.call(X, train=True))
    run(dynsparse.call(X, train=1))  # equal to True, but of another type
    assert len(traced) == 3


@dataclasses.dataclass
class Settings:
    """Without a hash, as data classes are that may change."""

    depth: int


def test_a_value_without_a_hash_is_compared_by_what_it_holds():
    settings, traced = Settings(1), []

    @jax.jit
    def run(call):
        traced.append(call)
        return call(lambda x, settings: x * settings.depth)

    run(dynsparse.call(X, settings))
    run(dynsparse.call(X, Settings(1)))
    assert len(traced) == 1
    settings.depth = 2
    np.testing.assert_array_equal(run(dynsparse.call(X, settings)), 2 * X)


def test_modules_are_data_and_stay_as_they_were():
    rngs, traced = nnx.Rngs(0, dropout=1), []

    @jax.jit
    def run(call):
        traced.append(call)
        return call(lambda x, rngs: rngs.dropout())

    run(dynsparse.call(X, rngs=rngs))
    run(dynsparse.call(X, rngs=nnx.Rngs(2, dropout=3)))
    assert len(traced) == 1
    assert rngs.dropout.count[...] == 0


def test_the_batch_is_the_leading_axis_of_the_first_array_with_an_axis():
    call = dynsparse.call(
        jnp.float32(1), X, jnp.ones(4), [X[:, 0]], mask=jnp.ones((1, 3))
    )
    assert call.num_examples == 3
    assert call.carries_batch == (False, True, False, True, False)
    shapes = [leaf.shape for leaf in jax.tree.leaves(call.one_example())]
    assert shapes == [(), (1, 4), (4,), (1,), (1, 3)]
    part = call.examples(1, 3)
    np.testing.assert_array_equal(part.args[1], X[1:3])
    assert part.kwargs["mask"] is call.kwargs["mask"]


def test_keywords_count_in_the_order_in_which_they_are_written():
    assert dynsparse.call(tokens=X, mask=jnp.ones((7, 7))).num_examples == 3


def test_shapes_stand_in_for_arrays():
    call = dynsparse.call(jax.ShapeDtypeStruct((3, 4), "bfloat16"), train=False)
    (leaf,) = jax.tree.leaves(call.one_example())
    assert (leaf.shape, leaf.dtype) == ((1, 4), jnp.bfloat16)
    assert str(call) == "call(bfloat16[3, 4], train=False)"


@pytest.mark.parametrize("args", [(), (1, "x"), (jnp.float32(2),)])
def test_a_call_without_a_batch_is_refused_in_words(args):
    with pytest.raises(ValueError, match="cannot be told: no argument is an array"):
        _ = dynsparse.call(*args, train=False).num_examples


def test_a_call_given_alone_is_the_call_and_given_with_more_an_argument():
    call = dynsparse.call(X)
    assert dynsparse.call(call) is call
    assert len(dynsparse.call(call, train=False).args) == 1
