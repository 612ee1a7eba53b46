"""A trace that is wrong is caught by the proof, whatever is wrong with it."""

import dataclasses
import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse import ops
from dynsparse.layers.rows import blocks, host_tokens
from dynsparse.layers.trace.axes.same_axes import Classes
from dynsparse.layers.trace.program import evaluate, host_call
from dynsparse.layers.trace.program.host_call import HostCall
from dynsparse.layers.trace.rows import attending
from dynsparse.layers.trace.rows.rows import Rows
from dynsparse.layers.trace.units import run_units
from dynsparse.layers.trace.units.find_units import Units
from dynsparse.layers.units import gated_units
from tests.layers.proof.proof_test import (
    BLOCKS,
    BYPASS,
    HEADS,
    MLP,
    WIDE,
    check_refusal,
    linear,
    sparse,
)
from tests.layers.zoo import foreign


@jax.custom_jvp
def rounded(x):
    """Rounds, with the derivative of the identity."""
    return jnp.round(4 * x) / 4


rounded.defjvp(lambda primals, tangents: (rounded(*primals), *tangents))


def gated(m, x):
    """Two maps to the units, of which none is 0 where what it reads is."""
    side = jax.lax.stop_gradient(jax.nn.sigmoid(1 - m.side(x)))
    m.calls[...] += 1
    return m.down(side * rounded(m.up(x)).astype(jnp.bfloat16).astype(x.dtype))


def perceptron():
    calls = nnx.Variable(jnp.zeros(()))
    return foreign.perceptron(gated, side=linear(), calls=calls)


def pair():
    """Two products read the units."""
    call = lambda m, x: m.down(jnp.tanh(m.up(x))) - m.back(jnp.tanh(m.up(x)))
    return foreign.perceptron(call, back=linear(16, foreign.WIDTH))


HOSTS = dict(
    gated=(perceptron, MLP),
    wide=(perceptron, WIDE),
    pair=(pair, MLP),
    heads=(foreign.Block, HEADS),
    tokens=(foreign.Block, BYPASS),
    examples=(foreign.Block, BLOCKS),
)


def otherwise(*names, by):
    """A change of how steps of these names run: `by` takes what they read."""

    def change(apply):
        def changed(step, arrays, axes, sizes):
            runs = by if step.name in names else apply
            return runs(step, arrays, axes, sizes)

        return changed

    return change


def replaced(**fields):
    """A change of what is found: `fields` map what it had to what it has."""
    new = lambda found: {name: change(found) for name, change in fields.items()}
    return lambda f: lambda *args: dataclasses.replace(f(*args), **new(f(*args)))


def weighed_early(weighed):
    """Weighs what the first product gives, in place of what the last one reads."""

    def changed(self, weights):
        values, axes = self.call.inputs(), self.units.trace.axes
        for step in self.units.trace.program.steps:
            arrays = [evaluate.read(values, value) for value in step.inputs]
            results = evaluate.apply(step, arrays, axes, {})
            if step.name == "dot_general" and self.units.holding(step.outputs[0]):
                mask = self.rows.beside(step.outputs[0], weights, self.units.factor)
                results = [ops.weigh(results[0], mask)]
            values.update(zip(step.outputs, results, strict=True))
        return self._finish(values)

    return changed


first = lambda step, arrays, axes, sizes: arrays[:1]
turned_around = lambda step, arrays, axes, sizes: [arrays[1] - arrays[0]]
turned = lambda f: lambda s, v, weights, u: f(s, v, weights[::-1], u)
BROKEN = dict(  # the host, what is broken, and how
    wrong_units=("gated", Classes, "places", lambda f: lambda *a: f(*a)[::-1] * 0),
    wrong_segments=(
        "heads",
        Classes,
        "places",
        lambda f: lambda *a: np.maximum(f(*a) - 1, 0),
    ),
    last_units=(
        "wide",
        run_units,
        "taken",
        lambda f: lambda u, v, steps, chosen: f(u, v, steps, 15 - chosen),
    ),
    wrong_operand=("gated", Units, "weighed", lambda f: lambda s, e: 1 - f(s, e)),
    wrong_rows=("gated", Rows, "together", lambda f: lambda s, v, x: f(s, v, x[::-1])),
    weights_of_other_rows=("gated", Rows, "beside", turned),
    weights_of_other_heads=("heads", Rows, "beside", turned),
    weights_of_other_units=(
        "gated",
        Rows,
        "beside",
        lambda f: lambda s, v, weights, u: f(s, v, weights[:, ::-1], u),
    ),
    no_weights=(
        "gated",
        Rows,
        "beside",
        lambda f: lambda s, v, weights, u: jnp.ones_like(f(s, v, weights, u)),
    ),
    weights_of_the_wrong_product=(
        "gated",
        run_units.UnitsOfCall,
        "weighed",
        weighed_early,
    ),
    one_product_of_two=(
        "pair",
        gated_units,
        "find_units",
        replaced(ends=lambda found: frozenset([*found.ends][:1])),
    ),
    lost_bias=("gated", run_units, "apply", otherwise("add", by=first)),
    lost_bias_in_compact=("gated", evaluate, "apply", otherwise("add", by=first)),
    lost_derivative=(
        "gated",
        run_units,
        "apply",
        otherwise("custom_jvp_call", by=evaluate._call),
    ),
    lost_stop=("gated", run_units, "apply", otherwise("stop_gradient", by=first)),
    lost_precision=(
        "gated",
        run_units,
        "apply",
        otherwise("convert_element_type", by=first),
    ),
    turned_difference=("gated", run_units, "apply", otherwise("sub", by=turned_around)),
    lost_state=(
        "gated",
        HostCall,
        "finish",
        lambda f: lambda s, y: f(stateless(s), y[: len(s.trace.results)]),
    ),
    closed_tokens_are_read=(
        "tokens",
        attending,
        "reduced",
        lambda f: lambda found, step: (0, None),
    ),
    first_tokens_for_open_ones=(
        "tokens",
        host_tokens,
        "run_some_tokens",
        lambda f: lambda c, t, i, w: f(c, t, jnp.zeros_like(i) + jnp.arange(3), w),
    ),
    examples_along_the_tokens=(
        "examples",
        blocks,
        "find_batch",
        replaced(arguments=lambda found: (1,)),
    ),
)


def stateless(call):
    """A call whose program changes no state."""
    outputs = call.trace.results
    program = dataclasses.replace(call.trace.program, outputs=outputs)
    copy = object.__new__(HostCall)
    vars(copy).update(vars(call))
    copy.trace = dataclasses.replace(call.trace, program=program, changed=())
    return copy


@functools.cache
def check_whole(name):
    make, rule = HOSTS[name]
    sparse(make(), rule)


def forget():
    """Forgets what was found in traces of the same hosts."""
    for finder in (host_call._trace, gated_units.find_units, host_tokens.find_tokens):
        getattr(finder, "cache_clear", lambda: None)()


@pytest.fixture(autouse=True)
def found_anew():
    forget()
    yield
    forget()


@pytest.mark.parametrize("name", BROKEN)
def test_a_trace_that_is_broken_is_caught(monkeypatch, name):
    part, owner, attribute, broken = BROKEN[name]
    check_whole(part)
    forget()
    monkeypatch.setattr(owner, attribute, broken(getattr(owner, attribute)))
    make, rule = HOSTS[part]
    check_refusal("sparsify: part, by the rule 'part': ", make(), rule)


def test_an_axis_that_is_not_followed_is_refused(monkeypatch):
    part = foreign.perceptron(lambda m, x: m.down(jnp.tanh(m.up(x)) + 1))
    module = sys.modules["dynsparse.layers.trace.program.host_call"]
    rules = {k: v for k, v in module._RULES.items() if k != "add"}
    monkeypatch.setattr(module, "_RULES", rules)
    check_refusal("add is not known", part, MLP)
