"""The operator experiment, on few operators and scores."""

import jax.numpy as jnp
import matplotlib.figure
import numpy as np
import pytest

from experiments import operator_speed
from experiments.operator_speed import Operator

SOME = ("jax.lax.top_k", "laplace", "laplace, by sort")
ONES = np.ones((1, 8), np.float32)


@pytest.fixture(scope="module")
def results():
    small = dict(n=16, batch=2, repeats=1)
    timed = operator_speed.measure(inputs="normal", only=SOME, **small)
    return timed + operator_speed.measure(inputs="hard", only=SOME[:2], **small)


def row(operator, milliseconds, **fields):
    """A row of the first target, beside a hard operator that takes 1 ms."""
    n, batch = operator_speed.TARGETS[0]
    known = dict(operator=operator, n=n, batch=batch, package="dynsparse", miss=0.0)
    times = dict.fromkeys(operator_speed.TIMES, milliseconds)
    times |= dict.fromkeys(operator_speed.SPREAD[:2], milliseconds)
    return dict.fromkeys(operator_speed.COLUMNS) | known | times | fields


def transport(name, milliseconds, temperature):
    errors = dict(miss=0.5, difference=0.25, gradient_difference=0.125)
    package = dict(package="ott-jax 0", temperature=temperature)
    return row(name, milliseconds, **errors, **package)


def test_what_is_measured_is_relative_to_the_hard_operator_and_exact(results):
    hard, bisected, by_sort = operator_speed.report(results).rows
    for part in operator_speed.PARTS:
        for each in (hard, bisected, by_sort):
            ratio = each[f"{part}_ms"] / hard["forward_ms"]
            np.testing.assert_allclose(each[f"{part}_ratio"], ratio)
    assert bisected["miss"] < 1e-5
    assert bisected["nan_rate"] == 0
    assert 0 < by_sort["difference"] < 1e-5
    assert 0 < by_sort["gradient_difference"] < 1e-5
    assert hard["miss"] is hard["nan_rate"] is None  # values, not a mask


def _raise(scores, k, temperature):
    raise KeyError


@pytest.mark.parametrize(
    ("apply", "why"),
    [
        (_raise, "KeyError at temperature None"),
        (lambda s, k, t: s / 0, "FloatingPointError at temperature 1.0"),
        (lambda s, k, t: 0 * s, "ArithmeticError at temperature 1.0"),  # misses k
    ],
)
def test_an_operator_that_fails_is_a_row_with_a_note(apply, why):
    chosen = dict(operator_speed._operators())
    chosen = {"jax.lax.top_k": chosen["jax.lax.top_k"]}
    chosen["failing"] = Operator(apply, temperatures=(1.0, 0.5))
    _, failed = operator_speed._timed_rows(chosen, ONES, repeats=1)
    assert failed["both_ms"] is None
    assert failed["note"] == why


def test_the_last_temperature_before_one_that_fails_counts():
    def mask(scores, k, temperature):  # nan below 0.5
        return k / 8 + 0 * scores * (temperature - 0.5) ** 0.5

    operator = Operator(mask, temperatures=(2.0, 1.0, 0.25, 0.75))
    found = operator_speed._settle(operator, ONES, 2)
    assert found["temperature"] == 1
    assert found["note"] == "FloatingPointError at temperature 0.25"


def test_the_hard_inputs_that_break_an_operator_are_named():
    operator = Operator(lambda s, k, t: s - s)  # nan where s is infinite
    broken = operator_speed._hard_row("difference", operator, jnp.ones((1, 16)))
    assert broken["nan_rate"] == 4 / 14
    names = "-inf at 1, -inf at 0.001, inf at 1, inf at 0.001"
    assert broken["broken_by"] == names


@pytest.mark.parametrize(("ratio", "verdict"), [(2.9, "met"), (3.1, "missed")])
def test_the_first_target_is_three_times_the_hard_operator(ratio, verdict):
    note, *_ = operator_speed.report([row("logistic", ratio)]).notes
    assert f"logistic {ratio:.2f} ({verdict})" in note


@pytest.mark.parametrize(("factor", "verdict"), [(20.5, "met"), (19.5, "missed")])
def test_the_second_target_is_the_fastest_at_the_smallest_epsilon(factor, verdict):
    rows = [
        row("logistic", 1.0),
        transport("faster, larger epsilon", 1.0, 0.2),
        transport("right", factor, 0.1),
        transport("slower", factor + 1, 0.1),
        transport("failed", None, None),
    ]
    note = operator_speed.report(rows).notes[1]
    assert f"{factor} ({verdict}), of 'right' at its smallest epsilon, 0.2." in note
    for error in ("0.5 in k", "0.25 in the mask", "0.12 in the gradient"):
        assert error in note


def test_the_notes_name_the_peers_that_were_not_there():
    rows = [row("logistic", 1.0), transport("ott", 1.0, 0.1)]
    assert "Missing: jaxopt, entmax." in operator_speed.report(rows).notes[-1]


def test_the_figure_has_a_row_per_operator_and_says_when_not_to_quote():
    rows = [row("logistic", 2.0), row("jax.lax.top_k", 1.0, package="jax")]
    rows += [transport("ott", None, None), row("laplace", 4.0, top_k_again=0.85)]
    figure = matplotlib.figure.Figure()
    operator_speed.report(rows).figure(figure)
    (panel,) = figure.axes
    ticks = [label.get_text() for label in panel.get_yticklabels()]
    assert ticks == ["laplace", "logistic", "jax.lax.top_k"]  # the fastest on top
    assert "do not quote" in figure.get_suptitle()
    assert "batch 32 (0.85)" in operator_speed.report(rows).notes[0]


def test_the_sweep_holds_the_targets():
    trials = []
    operator_speed.sweep(lambda **trial: trials.append(trial), "full")
    shapes = {(t["n"], t["batch"]) for t in trials if t["inputs"] == "normal"}
    assert shapes > set(operator_speed.TARGETS)
