"""The health of gates in closed form, and the words for what is wrong."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse import gates
from dynsparse.training.evaluation.counters import Counters, count
from dynsparse.training.evaluation.diagnostics import (
    GateHealth,
    diagnose,
    gap_warnings,
    gate_warnings,
    has_choice,
)

LABELS = np.array([0, 0, 1, 1])


def counted(rows):
    rows = jnp.asarray(rows, jnp.float32)
    fields = count(gates.GateOutput(rows, rows), jnp.ones(len(rows)))
    return Counters.from_arrays(**jax.device_get(fields))


def health(rows, groups=LABELS):
    (found,) = diagnose({"body": counted(rows)}, groups).values()
    return found


def test_spreads_are_over_examples_and_over_classes():
    found = health([[1, 1], [0, 0], [1, 0], [1, 0]])
    assert found.density == 0.5
    np.testing.assert_allclose(found.example_spread, np.std([1, 0, 0.5, 0.5]))
    assert found.group_spread == 0
    found = health([[1, 1], [1, 1], [1, 0], [0, 0]])
    np.testing.assert_allclose(found.group_spread, np.std([1, 0.25]))


def test_units_that_never_or_always_open_are_counted():
    found = health([[1, 0, 1, 0], [1, 0, 0, 0], [1, 0, 1, 1], [1, 0, 0, 0]])
    assert (found.always_open, found.never_open) == (0.25, 0.25)


@pytest.mark.parametrize(
    ("rows", "bits"),
    [
        ([[1], [0], [1], [0]], 1.0),
        ([[1], [0], [0], [0]], 0.8112781),  # h(1/4)
        ([[1, 1], [1, 0], [1, 1], [1, 0]], 0.5),  # mean over the units
        ([[0.3], [0.3], [0.3], [0.3]], 0.0),  # random, whatever the input
        ([[1], [1], [1], [1]], 0.0),
    ],
)
def test_mutual_information_of_unit_and_input(rows, bits):
    np.testing.assert_allclose(health(rows).mutual_information, bits, atol=1e-6)


def test_rows_that_decide_are_units_of_their_example():
    tokens = np.random.default_rng(0).integers(0, 2, (4, 3, 2)).astype(np.float32)
    assert health(tokens) == health(tokens.reshape(4, 6))


def test_without_groups_no_spread_over_them_is_told():
    assert health([[1, 1], [0, 0]], None).group_spread is None


def test_batches_join_to_the_whole():
    rows = np.random.default_rng(0).random((5, 7)).astype(np.float32)
    whole, parts = counted(rows), [counted(rows[:3]), counted(rows[3:])]
    joined = Counters.join(parts, 5)
    for name, value in vars(whole).items():
        np.testing.assert_allclose(getattr(joined, name), value, rtol=1e-6)
    assert len(Counters.join(parts, 4).opened) == 4


def test_padding_is_not_counted():
    rows = np.random.default_rng(0).random((5, 7)).astype(np.float32)
    both = jnp.asarray(np.concatenate([rows, rows[:2]]))
    weight = jnp.array([1.0] * 5 + [0.0] * 2)
    fields = count(gates.GateOutput(both, both), weight)
    padded = Counters.from_arrays(**jax.device_get(fields))
    joined, whole = Counters.join([padded], 5), counted(rows)
    for name, value in vars(whole).items():
        np.testing.assert_allclose(getattr(joined, name), value, rtol=1e-6)


FINE = GateHealth(
    density=0.5,
    example_spread=0.1,
    group_spread=0.1,
    mutual_information=0.3,
    never_open=0.0,
    always_open=0.0,
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(), []),
        (dict(never_open=1.0), ["body is closed for every input"]),
        (dict(always_open=1.0), ["body is open for every input: it saves nothing"]),
        (
            dict(mutual_information=0.0),
            ["body ignores its input (0.0000 bits a unit)"],
        ),
        (dict(never_open=0.9, always_open=0.1), []),
    ],
)
def test_what_is_wrong_is_said_in_words(changes, words):
    assert gate_warnings({"body": dataclasses.replace(FINE, **changes)}) == words


def test_a_gap_between_training_and_evaluation_is_said_where_it_is_large():
    assert gap_warnings("accuracy", 0.9, 0.87, "%") == []
    assert gap_warnings("bits", 2.0, 2.09, "bits") == []
    assert gap_warnings("bits", 2.0, 2.2, "bits") != []
    (line,) = gap_warnings("accuracy", 0.9, 0.3, "%")
    assert "0.900 with them, as in training, 0.300 without" in line


@pytest.mark.parametrize(
    ("gate", "density", "choice"),
    [
        (dict(name="hard_topk", density=0.5), 0.5, True),
        (dict(name="hard_topk", density=0.5), 1.0, False),
        (dict(name="gumbel_sigmoid", temperature=1.0), 1.0, True),
        (dict(name="gumbel_sigmoid", temperature=1.0), None, True),
        (dict(name="dense"), None, False),
    ],
)
def test_gates_that_were_told_what_to_open_have_no_choice(gate, density, choice):
    assert has_choice(gates.from_config(gate, rngs=nnx.Rngs(0)), density) == choice
