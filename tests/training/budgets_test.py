"""How a training meets its budget."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsparse import gates, training
from dynsparse.budgets import set_density
from tests.training import tiny

WEIGHT = "budget/controller/weight"


def measure(argument, *names, number=1, **changes):
    """Metrics of steps of a tiny run; what they do not need is not compiled.

    A name with a slash is that of a part of the state after the step.
    """
    experiment = training.prepare(tiny.config(argument, **changes))
    part = lambda state, name: functools.reduce(dict.get, name.split("/"), state)

    @jax.jit
    def steps(state, batches):
        history = []
        for batch in batches:
            state, metrics = experiment.trainer.step(state, batch)
            history.append(
                {n: part(state, n) if "/" in n else metrics[n] for n in names}
            )
        return history

    batches = [experiment.batches[index] for index in range(number)]
    return experiment, steps(experiment.initial_state, batches)


def test_the_price_moves_with_the_excess_and_enters_the_loss():
    changes = dict(budget__target=0.4)
    changes["budget__controller__initial"] = 3.0
    changes["budget__controller__proportional"] = 0.0
    names = "budget", "budget_price", "task_loss", "loss", WEIGHT
    _, (first, second) = measure(
        "gumbel_sigmoid,,pi_controller", *names, number=2, **changes
    )
    assert first["budget_price"] == 3.0
    excess = first["budget"] - 0.4
    np.testing.assert_allclose(
        first["loss"], first["task_loss"] + 3 * excess, rtol=1e-5
    )
    np.testing.assert_allclose(second["budget_price"], 3 + 0.15 * excess, rtol=1e-5)
    price = second[WEIGHT]
    np.testing.assert_allclose(
        price[0], second["budget_price"] + 0.15 * (second["budget"] - 0.4), rtol=1e-5
    )
    assert price[1] == 0


def test_spending_too_little_is_priced_too_unless_it_is_as_good():
    changes = dict(budget__target=0.95)
    changes["budget__controller__proportional"] = 0.0
    second_price = functools.partial(
        measure, "gumbel_sigmoid,,pi_controller", "budget_price", number=2, **changes
    )
    assert second_price()[1][1]["budget_price"] < 0
    as_good = second_price(budget__upper_bound=True)[1]
    assert as_good[1]["budget_price"] == 0


def test_the_expected_budget_is_that_of_the_bill():
    """At a density that all examples share, and tokens whose attention is squared."""
    changes = dict(budget__density=24 / 49)
    experiment, (metrics,) = measure("soft_topk,,fixed", "budget", **changes)
    prices = experiment.prices
    (name,) = prices.parts
    spent = prices.used({name: np.array([24])})[0] / prices.dense
    np.testing.assert_allclose(metrics["budget"], spent, rtol=2e-3)
    linear = (
        experiment.trainer.floor + 24 / 49 * prices.layer_cost_curves()[name].costs[-1]
    )
    assert linear > spent + 0.01


def test_a_sandwich_runs_its_densities_and_distils():
    changes = dict(budget__sampling__low=0.25, budget__sampling__draws=0)
    names = "density", "loss", "task_loss"
    experiment, (metrics,) = measure("soft_topk,,sandwich", *names, **changes)
    assert experiment.trainer.samples == 2
    np.testing.assert_allclose(metrics["density"], (1.0 + 12 / 49) / 2, rtol=1e-5)
    assert abs(metrics["loss"] - metrics["task_loss"]) > 1e-6

    def answer(density):
        model = experiment.trainer.model(experiment.initial_state)
        set_density(model, jnp.float32(density))
        images = experiment.task.inputs(experiment.batches[0])
        return jax.nn.log_softmax(jax.jit(lambda x: model(x))(images))

    labels = experiment.batches[0]["label"]
    teacher, student = answer(1.0), answer(0.25)
    loss = lambda x: -jnp.take_along_axis(x, labels[:, None], 1).mean()
    distance = (jnp.exp(teacher) * (teacher - student)).sum(-1).mean()
    expected = (loss(teacher) + 0.5 * loss(student) + 0.5 * distance) / 2
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-4)


def test_a_student_is_also_taught_what_the_head_reads():
    changes = dict(budget__sampling__low=0.25, budget__sampling__draws=0)
    losses = [
        measure(
            "soft_topk,,sandwich",
            "loss",
            **changes,
            budget__distillation__features=weight,
        )
        for weight in (0.0, 0.5, 1.0)
    ]
    base, half, whole = (float(metrics["loss"]) for _, (metrics,) in losses)
    assert half - base > 1e-4
    np.testing.assert_allclose(whole - base, 2 * (half - base), rtol=1e-3)


def test_a_ramp_starts_with_everything_open():
    ramp = dict(form="linear", start=0.0, until=1.0)
    experiment = training.prepare(tiny.config("soft_topk,,fixed", budget__ramp=ramp))
    step = experiment.trainer.step
    density_of = jax.jit(lambda state, batch: step(state, batch)[1]["density"])
    for progress, density in ((0, 1.0), (3, 0.75), (6, 0.5)):
        state = experiment.initial_state | dict(step=jnp.int32(progress))
        found = density_of(state, experiment.batches[0])
        np.testing.assert_allclose(found, density, atol=0.011)


@pytest.mark.parametrize("method", ["dense", "gumbel_sigmoid", "disarm"])
def test_a_gate_without_a_density_takes_no_sandwich(method):
    with pytest.raises(
        ValueError, match="budget: no density of .* can be drawn at every"
    ):
        training.prepare(tiny.config(f"{method},,sandwich"))


def test_a_gate_with_passes_of_its_own_takes_no_sandwich(monkeypatch):
    monkeypatch.setattr(gates.find("soft_topk"), "samples", 2)
    with pytest.raises(ValueError, match="3 passes of a step and a gate that wants 2"):
        training.prepare(tiny.config("soft_topk,,sandwich"))
