"""Bills, prices and decisions of models that take more than one array."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dynsparse
from dynsparse import costs, layers
from tests.programs_test import compilations

N, TOKENS, WIDTH, HIDDEN, OTHER = 5, 6, 8, 16, 4
MLP = TOKENS * 2 * WIDTH * HIDDEN  # MACs with every block open
EXTRA = TOKENS * OTHER * WIDTH


class Base(nnx.Module):
    """A gated MLP beside a plain layer for another input."""

    def __init__(self, seed=0):
        rngs = nnx.Rngs(seed, gate=seed + 1)
        mlp = layers.Mlp.create(width=WIDTH, hidden=HIDDEN, rngs=rngs)
        self.mlp = layers.gated(
            mlp,
            granularity="neurons",
            num_blocks=4,
            gate=dict(name="gumbel_sigmoid", temperature=1.0),
            scorer=dict(name="linear"),
            rngs=rngs,
        )
        self.mlp.scorer.score.kernel[...] *= 30
        self.other = nnx.Linear(OTHER, WIDTH, rngs=rngs)


class Two(Base):
    def __call__(self, x, t):
        return self.mlp(x + self.other(t))


class Dict(Base):
    def __call__(self, inputs):
        return dict(y=self.mlp(inputs["x"] + self.other(inputs["t"])), pair=(1, None))


class Keyword(Base):
    def __call__(self, x, *, t, scale=1.0):
        return scale * self.mlp(x + self.other(t)), t


class Masked(Base):
    """`mask` [tokens, tokens] is that of no example."""

    def __call__(self, x, t, mask=None):
        x = x + self.other(t)
        return self.mlp(x if mask is None else mask @ x)


class Turned(Masked):
    def __call__(self, x, t, mask):
        return super().__call__(x, t, mask.T)


class Mode(Base):
    def __call__(self, x, t, *, train, mode="both"):
        if train:
            raise ValueError("a bill is none of training")
        return self.mlp(x + (self.other(t) if mode == "both" else 0))


def inputs(seed=0):
    keys = jax.random.split(jax.random.key(seed))
    shapes = (N, TOKENS, WIDTH), (N, TOKENS, OTHER)
    return [jax.random.normal(key, s) for key, s in zip(keys, shapes, strict=True)]


X, T = inputs()
CALLS = dict(
    two=(Two, dynsparse.call(X, T), EXTRA),
    dict=(Dict, dynsparse.call(dict(x=X, t=T)), EXTRA),
    keyword_array=(Keyword, dynsparse.call(X, t=T, scale=0.5), EXTRA),
    keywords_alone=(Two, dynsparse.call(x=X, t=T), EXTRA),
    numpy=(Two, dynsparse.call(np.asarray(X), np.asarray(T)), EXTRA),
    flag=(Mode, dynsparse.call(X, T, train=False), EXTRA),
    mode=(Mode, dynsparse.call(X, T, train=False, mode="one"), 0),
    mask=(
        Masked,
        dynsparse.call(X, T, mask=jnp.eye(TOKENS)),
        EXTRA + TOKENS**2 * WIDTH,
    ),
)


@pytest.fixture(params=CALLS)
def asked(request):
    kind, call, extra = CALLS[request.param]
    return kind(), call, extra


def test_macs_are_those_counted_by_hand(asked):
    model, call, extra = asked
    bill = costs.bill(model, call)
    (layer,) = bill.layers.values()
    (mask,) = costs.run_gates(model, call).values()
    opened = np.asarray(mask > 0).reshape(N, -1).sum(-1)
    assert len(set(opened.tolist())) > 1
    dense = nnx.view(model, execution="dense")
    assert bill.dense == MLP + extra == costs.count_macs(dense, call.one_example())
    assert layer.num_units == TOKENS * 4
    np.testing.assert_array_equal(layer.used, MLP * opened // (TOKENS * 4))
    decided = np.full(N, TOKENS * WIDTH * 4)
    np.testing.assert_array_equal(bill.used, layer.used + decided + extra)


def test_the_arguments_may_be_given_as_the_model_takes_them(asked):
    model, call, _ = asked
    example, bill = call.one_example(), costs.bill(model, *call.args, **call.kwargs)
    assert str(bill) == str(costs.bill(model, call))
    prices = costs.Prices(model, *example.args, **example.kwargs)
    masks = costs.run_gates(model, *call.args, **call.kwargs)
    assert str(costs.itemize(prices, masks, num_examples=N)) == str(bill)


def test_decisions_are_those_of_the_call(asked):
    model, call, _ = asked
    view = dynsparse.evaluating(model)
    _, captured = call(nnx.capture(view, dynsparse.GateRecord))
    (expected,) = dynsparse.records(captured).values()
    (mask,) = costs.run_gates(model, call).values()
    np.testing.assert_array_equal(mask, expected.mask)


def test_a_second_bill_traces_and_compiles_nothing(asked, monkeypatch):
    model, call, _ = asked
    costs.bill(model, call)
    again = jax.tree.map(lambda leaf: leaf + 0, call)
    other, kind = type(model)(), type(model)
    run, traced = kind.__call__, []
    monkeypatch.setattr(
        kind, "__call__", lambda *a, **k: traced.append(1) or run(*a, **k)
    )
    with compilations() as compiled:
        costs.bill(model, again)
        costs.bill(other, again)
    assert not compiled
    assert not traced


def test_a_keyword_that_a_bill_has_too_goes_to_the_model_with_a_call():
    class Bounded(Base):
        def __call__(self, x, t, *, while_bound):
            return self.mlp(x + while_bound * self.other(t))

    call = dynsparse.call(X, T, while_bound=2.0)
    assert costs.bill(Bounded(), call, while_bound=1).dense == MLP + EXTRA


def test_a_batch_that_cannot_be_told_is_refused_in_words():
    with pytest.raises(ValueError, match="no argument is an array with an axis"):
        costs.bill(Two(), 1.0, "x")


def test_a_size_that_another_argument_has_is_refused_in_words():
    x, t = X[:, :N], T[:, :N]
    mask = jnp.eye(N)  # as many tokens as examples
    assert costs.run_gates(Masked(), x, t, mask)
    with pytest.raises(ValueError, match="20 units of 5 examples, and is priced for 4"):
        costs.bill(Masked(), x, t, mask)
    with pytest.raises(ValueError, match="fails: .* give one whose size no other arg"):
        costs.bill(Turned(), x, t, mask)


def test_a_first_array_of_no_examples_is_refused_in_words():
    class Late(Two):
        def __call__(self, scale, x, t):
            return super().__call__(scale.mean() * x, t)

    with pytest.raises(ValueError, match="24 units of 5 examples.* 24 units of 8"):
        costs.bill(Late(), jnp.ones(WIDTH), X, T)


def test_macs_of_a_function_with_flags():
    def product(x, w, *, transposed, times):
        for _ in range(times):
            x = x @ (w.T if transposed else w)
        return x

    shape = lambda *sizes: jax.ShapeDtypeStruct(sizes, "float32")
    count = costs.count_macs(
        product, shape(2, 8), shape(8, 8), transposed=True, times=3
    )
    assert count == 3 * 2 * 8 * 8
    call = dynsparse.call(shape(2, 8), shape(8, 8), transposed=False, times=1)
    assert costs.count_macs(product, call) == 2 * 8 * 8


def test_caches_and_streams_are_left_as_they_are():
    class Cached(Base):
        def __call__(self, x, cache, *, rngs):
            cache.seen[...] = cache.seen[...] + self.other(x).sum((1, 2))
            rngs.dropout()
            return cache.seen[...]

    class Cache(nnx.Module):
        def __init__(self):
            self.seen = nnx.Cache(jnp.zeros(N))

    cache, rngs = Cache(), nnx.Rngs(0, dropout=1)
    bill = costs.bill(Cached(), T, cache, rngs=rngs)
    assert bill.dense == EXTRA
    assert not cache.seen[...].any()
    assert rngs.dropout.count[...] == 0


def test_prices_hold_no_arrays():
    leaves = [*jax.tree.leaves(costs.Prices(Two(), X[:1], T[:1])._traced.call())]
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves)
