"""Ladders of models that take, and give, more than one array."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dynsparse
from dynsparse import layers
from dynsparse.gates import evaluating
from dynsparse.serving import Deadline, Ladder, Runtime, Server
from tests.programs_test import compilations

N, TOKENS, WIDTH, OTHER = 3, 6, 8, 4
SIZES = (1, 3)


class Base(nnx.Module):
    """A gated MLP of shifted tokens."""

    def __init__(self):
        rngs = nnx.Rngs(0, gate=1)
        self.mlp = layers.gated(
            layers.Mlp.create(width=WIDTH, hidden=16, rngs=rngs),
            granularity="neurons",
            num_blocks=4,
            gate=dict(name="hard_topk", density=1.0),
            scorer=dict(name="linear"),
            rngs=rngs,
        )
        self.other = nnx.Linear(OTHER, WIDTH, rngs=rngs)


class Two(Base):
    def __call__(self, x, t):
        return self.mlp(x + self.other(t))


class Dict(Base):
    def __call__(self, inputs):
        y = self.mlp(inputs["x"] + self.other(inputs["t"]))
        return dict(y=y, by_token=(y.sum(-1), None), kernel=self.other.kernel[...])


class Keywords(Base):
    """`mask` [tokens, tokens] is that of no example."""

    def __call__(self, x, *, t, mask, train):
        if train:
            raise ValueError("a ladder is none of training")
        return self.mlp(mask @ x + self.other(t)), self.other.bias[...]


def inputs(number, seed=0):
    keys = jax.random.split(jax.random.key(seed))
    shapes = (number, TOKENS, WIDTH), (number, TOKENS, OTHER)
    draw = lambda key, shape: np.asarray(jax.random.normal(key, shape))
    return [draw(key, shape) for key, shape in zip(keys, shapes, strict=True)]


MASK = np.tri(TOKENS, dtype=np.float32)
ASKED = dict(
    two=(Two, lambda x, t: dynsparse.call(x, t)),
    dict=(Dict, lambda x, t: dict(x=x, t=t)),
    keywords=(Keywords, lambda x, t: dynsparse.call(x, t=t, mask=MASK, train=False)),
)


@pytest.fixture(scope="module", params=ASKED)
def served(request):
    kind, ask = ASKED[request.param]
    model = kind()
    ladder = Ladder.compile(
        model,
        examples=ask(*inputs(N)),
        budgets=(0.6, 1.0),
        batch_sizes=SIZES,
        repeats=1,
    )
    return model, ask, ladder


@pytest.mark.parametrize("number", [1, 2, 3, 4, 7])
def test_any_number_of_examples_is_answered_as_by_the_model(served, number):
    model, ask, ladder = served
    asked = ask(*inputs(number, seed=number))
    for index, rung in enumerate(ladder.rungs):
        view = evaluating(model, density=rung.density)
        expected = dynsparse.call(asked)(view)
        found = ladder(index, asked)
        assert jax.tree.structure(found) == jax.tree.structure(expected)
        for one, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_nothing_is_traced_or_compiled_when_a_call_is_answered(served):
    _, ask, ladder = served
    asked = ask(*map(jnp.asarray, inputs(5)))
    with compilations() as found:
        ladder(0, asked)
    assert not found


def test_a_server_takes_what_its_ladder_takes(served):
    _, ask, ladder = served
    asked, deadline = ask(*inputs(2)), Deadline()
    with Server(Runtime(ladder, deadline), deadline=deadline) as server:
        answer = server.submit(asked, seconds=30.0).result()
    expected = ladder(answer.rung, asked)
    jax.tree.map(np.testing.assert_array_equal, answer.output, expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda x, t: x,
        lambda x, t: dynsparse.call(x[..., :-1], t),
        lambda x, t: dynsparse.call(x, t[:1]),
        lambda x, t: dynsparse.call(x, t.astype(np.float16)),
        lambda x, t: dynsparse.call(x, t=t, mask=MASK, train=True),
        lambda x, t: dynsparse.call(x, t=t, mask=MASK[:2], train=False),
        lambda x, t: dict(x=x, t=t, u=t),
        lambda x, t: dynsparse.call(x[:0], t[:0]),
        lambda x, t: dynsparse.call(1, "x"),
    ],
)
def test_requests_of_another_form_are_refused_in_words(served, change):
    _, _, ladder = served
    with pytest.raises(ValueError, match="example"):
        ladder(0, change(*inputs(2)))


def test_an_axis_of_another_argument_is_none_of_the_batch():
    """A request may have as many examples as the mask has tokens."""
    kind, ask = ASKED["keywords"]
    ladder = Ladder.compile(
        kind(), examples=ask(*inputs(N)), budgets=(1.0,), batch_sizes=(4,), repeats=1
    )
    y, bias = ladder(0, ask(*inputs(TOKENS)))
    assert y.shape == (TOKENS, TOKENS, WIDTH)
    assert bias.shape == (WIDTH,)


def test_keywords_may_come_in_any_order():
    kind, ask = ASKED["keywords"]
    x, t = inputs(1)
    ladder = Ladder.compile(
        kind(), examples=ask(x, t), budgets=(1.0,), batch_sizes=(1,), repeats=1
    )
    turned = dynsparse.call(x, train=False, mask=MASK, t=t)
    expected = ladder(0, ask(x, t))
    jax.tree.map(np.testing.assert_array_equal, ladder(0, turned), expected)


def test_outputs_whose_examples_do_not_lead_are_refused_in_words():
    class Turned(Two):
        def __call__(self, x, t):
            return dict(y=super().__call__(x, t).swapaxes(0, 1))

    with pytest.raises(ValueError, match="leading axis must be that of the examples"):
        compile_two(Turned())


def test_a_score_is_measured_of_calls():
    asked = dynsparse.call(*inputs(N))
    expected = asked(evaluating(Two()))
    close = lambda found: np.isclose(found, expected, atol=1e-5).mean()
    ladder = compile_two(Two(), held_out=(asked, close))
    assert ladder.rungs[-1].score == 1.0


def compile_two(model, **options):
    examples = dynsparse.call(*inputs(N))
    return Ladder.compile(
        model, examples=examples, budgets=(1.0,), batch_sizes=(N,), repeats=1, **options
    )
