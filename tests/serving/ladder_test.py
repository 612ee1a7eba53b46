"""The compiled ladder: exact, measured, one copy of the parameters."""

import json
import math
import re

import jax
import numpy as np
import pytest
from flax import nnx
from jax import monitoring

from dynsparse import costs
from dynsparse.gates import evaluating
from dynsparse.serving import Ladder
from tests.serving.ladders import BUDGETS, SIZES, compiled, images, model


def test_rungs_rise_and_meet_their_budgets():
    budgets = [rung.budget for rung in compiled().rungs]
    assert len(budgets) == len(BUDGETS)
    for spent, asked in zip(budgets, BUDGETS, strict=True):
        assert asked - 0.1 < spent <= asked  # within one of 16 tokens
    assert budgets == sorted(budgets)


@pytest.mark.parametrize("rung", range(len(BUDGETS)))
def test_every_rung_is_exact(rung):
    ladder, x = compiled(), images(4, seed=1)
    reference = model()
    density = ladder.rungs[rung].density
    masked = evaluating(nnx.clone(reference))
    for _, node in nnx.iter_graph(masked):
        if type(node).__name__ == "Density":
            node[...] = np.float32(density)
    expected = jax.jit(lambda x: masked(x))(x)
    np.testing.assert_allclose(ladder(rung, x), expected, atol=1e-5)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 9])
def test_any_number_of_examples_is_answered(number):
    ladder, x = compiled(), images(9, seed=2)
    whole = ladder(1, x)
    np.testing.assert_allclose(ladder(1, x[:number]), whole[:number], atol=1e-5)


def test_all_rungs_answer_with_the_one_state():
    ladder, x = compiled(), images(2)
    before = [ladder(rung, x) for rung in range(len(BUDGETS))]
    state = ladder.state
    try:
        ladder.state = jax.tree.map(
            lambda leaf: 2 * leaf if leaf.dtype == np.float32 else leaf, state
        )
        for rung, old in enumerate(before):
            assert np.abs(ladder(rung, x) - old).max() > 1e-3
    finally:
        ladder.state = state


def test_programs_hold_no_parameters():
    """Constants of a program would be a copy of its own."""
    ladder = compiled()
    parameters = sum(leaf.nbytes for leaf in jax.tree.leaves(ladder.state))
    for program in ladder._programs.values():
        assert program.memory_analysis().argument_size_in_bytes >= parameters
        shapes = re.findall(r"f32\[([\d,]+)\]\S* constant\(", program.as_text())
        sizes = [math.prod(map(int, shape.split(","))) for shape in shapes]
        assert max(sizes, default=0) <= 64


def test_nothing_is_compiled_when_a_ladder_answers():
    ladder, x = compiled(), images(9)
    heard = []
    monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: heard.append(name)
    )
    for rung in range(len(BUDGETS)):
        ladder(rung, x)
    assert not [name for name in heard if "compile" in name or "trace" in name]
    jax.jit(lambda x: x + 1)(x)  # the listener does listen
    assert [name for name in heard if "compile" in name]


def test_a_table_with_time_and_memory_is_saved(tmp_path):
    compiled().save(tmp_path / "ladder.json")
    table = json.loads((tmp_path / "ladder.json").read_text())
    assert len(table) == len(BUDGETS) * len(SIZES)
    assert all(row["latency_ms"] > 0 and row["peak_megabytes"] > 0 for row in table)


def test_twenty_budgets_are_spent_to_within_a_unit():
    prices = costs.Prices(model(), jax.ShapeDtypeStruct((1, 8, 8, 1), np.float32))
    (part,) = prices.parts.values()
    floor = prices.floor / prices.dense
    for asked in np.linspace(floor + 1e-6, 1.0, 20):
        density = costs.largest_density(prices, float(asked))
        counts = {part.name: np.array([round(density * part.num_units)])}
        spent = prices.used(counts)[0] / prices.dense
        more = {part.name: counts[part.name] + 1}
        assert spent <= asked
        if density < 1:
            assert prices.used(more)[0] / prices.dense > asked


def test_gates_without_a_density_are_one_rung():
    ladder = Ladder.compile(
        model("gumbel_sigmoid"),
        examples=images(4),
        budgets=(0.3, 1.0),
        batch_sizes=(2,),
        repeats=1,
    )
    (rung,) = ladder.rungs
    assert rung.density is None
    assert 0 < rung.budget <= 1.1


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (dict(budgets=(0.01,), batch_sizes=(1,)), "budget 0.01 is below the floor"),
        (dict(budgets=(), batch_sizes=(1,)), "at least one budget"),
        (dict(budgets=(1.0,), batch_sizes=(0,)), r"batch_sizes=\(0,\)"),
    ],
)
def test_mistakes_are_named(asked, message):
    with pytest.raises(ValueError, match=message):
        Ladder.compile(model(), examples=images(1), **asked)
