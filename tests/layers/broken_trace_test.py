"""A trace that is wrong is caught by the proof, whatever is wrong with it."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsparse.layers.trace import evaluate, execution
from dynsparse.layers.trace.classes import Classes
from dynsparse.layers.trace.rows import Rows
from tests.layers import foreign
from tests.layers.proof_test import MLP, check_refusal


@jax.custom_jvp
def rounded(x):
    """Rounds, with the derivative of the identity."""
    return jnp.round(4 * x) / 4


rounded.defjvp(lambda primals, tangents: (rounded(*primals), *tangents))


BROKEN = dict(
    wrong_units=(
        Classes,
        "places",
        lambda f: lambda *a: np.maximum(f(*a) - 1, 0),
    ),
    wrong_rows=(Rows, "together", lambda f: lambda s, v, x: f(s, v, x[::-1])),
    weights_of_other_rows=(
        Rows,
        "beside",
        lambda f: lambda s, v, weights, u: f(s, v, weights[::-1], u),
    ),
    weights_of_other_units=(
        Rows,
        "beside",
        lambda f: lambda s, v, weights, u: f(s, v, weights[:, ::-1], u),
    ),
    no_weights=(
        Rows,
        "beside",
        lambda f: lambda s, v, weights, u: jnp.ones_like(f(s, v, weights, u)),
    ),
    lost_derivative=(
        execution,
        "apply",
        lambda f: (
            lambda step, arrays, axes, sizes: (
                evaluate._call(step, arrays, axes, {})
                if step.name == "custom_jvp_call"
                else f(step, arrays, axes, sizes)
            )
        ),
    ),
    lost_addition=(
        evaluate,
        "apply",
        lambda f: (
            lambda step, arrays, axes, sizes: (
                [arrays[0]] if step.name == "add" else f(step, arrays, axes, sizes)
            )
        ),
    ),
)


@pytest.mark.parametrize("name", BROKEN)
def test_a_trace_that_is_broken_is_caught(monkeypatch, name):
    owner, attribute, broken = BROKEN[name]
    monkeypatch.setattr(owner, attribute, broken(getattr(owner, attribute)))
    part = foreign.perceptron(lambda m, x: m.down(rounded(m.up(x))))
    check_refusal("the gated module's answer would differ", part, MLP)


def test_an_axis_that_is_not_followed_is_refused(monkeypatch):
    part = foreign.perceptron(lambda m, x: m.down(jnp.tanh(m.up(x)) + 1))
    module = sys.modules["dynsparse.layers.trace.host"]
    rules = {k: v for k, v in module._RULES.items() if k != "add"}
    monkeypatch.setattr(module, "_RULES", rules)
    check_refusal("add is not known", part, MLP)
