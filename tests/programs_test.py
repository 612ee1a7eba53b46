"""One compiled program serves every model of a structure."""

import contextlib

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import dynsparse
from dynsparse import costs
from dynsparse._internal.structure import Structure
from dynsparse.gates import evaluating


@contextlib.contextmanager
def compilations():
    """Counts what XLA compiles while it is entered."""
    found = []

    def listen(event, *_, **__):
        if counting and "backend_compile" in event:
            found.append(event)

    counting = True
    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    counting = False


class Net(nnx.Module):
    def __init__(self, seed):
        self.block = Skip(seed)

    def __call__(self, x):
        return self.block(x)


class Skip(nnx.Module):
    def __init__(self, seed):
        self.linear = nnx.Linear(8, 8, rngs=nnx.Rngs(seed))

    def __call__(self, x):
        return x + self.linear(x)


def gated(seed):
    gate = dict(name="gumbel_sigmoid", temperature=1.0)
    rule = dict(granularity="blocks", width=8, gate=gate, scorer=dict(name="linear"))
    return dynsparse.sparsify(
        Net(seed), {"block": rule}, batch(0), rngs=nnx.Rngs(seed, gate=seed)
    )


def batch(seed):
    return jax.random.normal(jax.random.key(seed), (6, 8))


def test_compact_execution_without_jit_compiles_nothing_after_its_first_calls():
    fast = evaluating(gated(0), execution="compact")
    for seed in range(3):
        fast(batch(0) + seed)
    with compilations() as found:
        for _ in range(3):
            fast(batch(0))
    assert not found


def test_bills_of_models_of_one_structure_compile_once():
    costs.bill(gated(0), batch(0))
    models = [gated(0), gated(1)]
    with compilations() as found:
        for model in models:
            costs.bill(model, batch(1))
    assert not found


class Settings(nnx.Module):
    def __init__(self, value):
        self.value = nnx.static(value)


@pytest.mark.parametrize("value", [{"a": [1]}, (1, "x"), {"a": {"b": None}}])
def test_structures_compare_by_value(value):
    (one, _), (two, _) = map(Structure.split, (Settings(value), Settings(value)))
    (other, _) = Structure.split(Settings("other"))
    assert one == two
    assert hash(one) == hash(two)
    assert one != other


def test_an_attribute_that_changes_makes_another_structure():
    model = Settings({"a": 1})
    before, _ = Structure.split(model)
    model.value["a"] = 2
    after, _ = Structure.split(model)
    assert before != after


def test_a_bill_takes_the_bound_of_a_loop():
    class Loop(nnx.Module):
        def __init__(self):
            self.linear = nnx.Linear(8, 8, rngs=nnx.Rngs(0))

        def __call__(self, x):
            kernel = self.linear.kernel[...]
            turn = lambda c: (c[0] + 1, c[1] @ kernel)
            return jax.lax.while_loop(lambda c: c[0] < 3, turn, (0, x))[1]

    assert costs.bill(Loop(), jnp.ones((2, 8)), while_bound=3).dense == 3 * 64
    with pytest.raises(ValueError, match="pass while_bound"):
        costs.bill(Loop(), jnp.ones((2, 8)))
