"""Controllers in a closed loop, and what one update does."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsparse.budgets import controllers

ROWS = {
    "bias_balancing": dict(rate=0.0035, initial=0.5, largest=10.0),
    "dual_ascent": dict(rate=0.05, restart=False, initial=0.5, largest=10.0),
    "ema_threshold": dict(decay=0.95, initial=0.5, largest=10.0),
    "pi_controller": dict(
        integral=0.05,
        proportional=1.0,
        smoothing=0.5,
        slack=0.5,
        initial=0.5,
        largest=10.0,
    ),
    "sign_controller": dict(
        factor=1.05, band=0.0, smallest=1e-3, initial=0.5, largest=10.0
    ),
}
NAMES = sorted(ROWS)
BY_SIGN = ("bias_balancing", "sign_controller")


def build(name, **changes):
    return controllers.from_config(dict(name=name) | ROWS[name] | changes)


def plant(weight, lag, spent):
    """Spends less the more it is charged, and takes time to do so."""
    return spent + (1 / (1 + weight) - spent) / lag


def loop(controller, target, steps, *, state=None, spent=1.0, lag=4.0, floor=0.0):
    """Runs the loop; returns what was spent and the weights, and the last state."""
    state = controller.init() if state is None else state
    spent, weights, state = run(controller, steps, state, target, spent, lag, floor)
    return np.asarray(spent), np.asarray(weights), state


@functools.partial(jax.jit, static_argnums=(0, 1))
def run(controller, steps, state, target, spent, lag, floor):
    def step(carry, _):
        state, spent = carry
        spent = jnp.maximum(plant(state["weight"], lag, spent), floor)
        state, weight = controller.update(state, spent - target)
        return (state, spent), (spent, weight)

    (state, _), (spent, weights) = jax.lax.scan(
        step, (state, jnp.float32(spent)), length=steps
    )
    return spent, weights, state


def test_every_controller_has_a_row():
    assert controllers.available() == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("target", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("initial", [0.01, 1.0, 9.0])
def test_a_monotone_plant_comes_to_its_target(name, target, initial):
    # Where a controller begins is in its state alone.
    state = build(name, initial=initial).init()
    spent, *_ = loop(build(name), target, 6_000, state=state)
    # A sign knows no size: it stays within a step or two of the weight that is right.
    band = 0.02 if name in BY_SIGN else 1e-3
    assert np.abs(spent[-300:] - target).max() < band


@pytest.mark.parametrize("name", NAMES)
def test_nothing_winds_up_while_the_target_is_out_of_reach(name):
    controller = build(name)
    *_, wound = loop(controller, 0.2, 10_000, floor=0.4)
    *_, fresh = loop(controller, 0.2, 100, floor=0.4)
    assert wound["weight"] <= controller.largest
    # The way back does not grow with how long it was: as from the largest weight.
    start = dict(fresh, weight=jnp.float32(controller.largest))
    after = [
        loop(controller, 0.6, 3_000, state=s, spent=0.4)[0] for s in (wound, start)
    ]
    np.testing.assert_allclose(after[0], after[1], atol=0.02)
    assert abs(after[0][-1] - 0.6) < 0.02


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_never_negative(name):
    noise = 2 * jax.random.normal(jax.random.key(0), (2_000, 3))
    step = lambda state, measured: build(name).update(state, measured)
    _, weights = jax.lax.scan(step, build(name).init((3,)), noise)
    assert (weights >= 0).all()
    assert (weights <= build(name).largest).all()
    assert weights.std() > 0


@pytest.mark.parametrize("name", NAMES)
def test_each_element_is_a_loop_of_its_own(name):
    controller = build(name)
    measured = jnp.array([0.3, -0.2])
    state, together = controller.update(controller.init((2,)), measured)
    _, together = controller.update(state, measured + 0.1)
    for index in range(2):
        state, _ = controller.update(controller.init(), measured[index])
        _, alone = controller.update(state, measured[index] + 0.1)
        np.testing.assert_allclose(together[index], alone, rtol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_a_threshold_is_the_moving_average_of_the_quantiles(decay):
    controller = build("ema_threshold", decay=decay, initial=0.0)
    quantiles = np.array([3.0, 5.0, 4.0, 8.0, 2.0])
    state, expected = controller.init(), 0.0
    for number, quantile in enumerate(quantiles, start=1):
        share = max(1 - decay, 1 / number)
        expected = (1 - share) * expected + share * quantile
        state, found = controller.update(state, quantile - state["weight"])
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_balancing_takes_steps_of_one_size():
    controller = build("bias_balancing", rate=0.125, initial=1.0)
    state, found = controller.init(), []
    for excess in (0.001, 50.0, 0.0, -0.3):
        state, weight = controller.update(state, jnp.float32(excess))
        found.append(float(weight))
    assert found == [1.125, 1.25, 1.25, 1.125]


def test_the_restart_forgets_what_was_gathered():
    controller = build("dual_ascent", restart=True, initial=5.0)
    _, weight = controller.update(controller.init(), jnp.float32(-0.001))
    assert weight == 0


def test_the_pi_controller_follows_its_formula():
    controller = build("pi_controller")
    state, weight, smooth, expected = controller.init(), 0.5, None, []
    for excess in (0.4, 0.1, -0.2, -0.3):
        before = excess if smooth is None else smooth
        smooth = 0.5 * before + 0.5 * excess
        weight = max(weight + 0.05 * excess + 1.0 * (smooth - before), 0)
        expected.append(weight)
    found = []
    for excess in (0.4, 0.1, -0.2, -0.3):
        state, value = controller.update(state, jnp.float32(excess))
        found.append(float(value))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_sign_controller_rests_inside_of_its_band():
    controller = build("sign_controller", band=0.1)
    for excess, factor in ((0.05, 1), (-0.05, 1), (0.2, 1.05), (-0.2, 1 / 1.05)):
        _, weight = controller.update(controller.init(), jnp.float32(excess))
        np.testing.assert_allclose(weight, 0.5 * factor, rtol=1e-5)


def test_the_proportional_part_damps_the_oscillation():
    swing = lambda **gains: np.abs(
        np.diff(
            loop(build("pi_controller", integral=0.5, **gains), 0.5, 400, lag=20.0)[1]
        )
    ).sum()
    assert swing(proportional=10.0) < 0.5 * swing(proportional=0.0)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "dual_ascent",
            dict(rate=0.0),
            "dual_ascent: rate must be > 0, got 0.0",
        ),
        ("dual_ascent", dict(initial=20.0), r"initial must be in \[0, largest\]"),
        ("pi_controller", dict(smoothing=1.0), r"smoothing must be in \[0, 1\)"),
        ("pi_controller", dict(largest=-1.0), "largest must be > 0, got -1.0"),
        ("sign_controller", dict(factor=1.0), "factor must be > 1, got 1.0"),
        ("sign_controller", dict(initial=0.0), r"smallest must be in \(0, initial\]"),
        ("pid", {}, "controllers: unknown name 'pid'; accepted: bias_balancing"),
    ],
)
def test_mistakes_are_named(name, changes, message):
    with pytest.raises(ValueError, match=message):
        controllers.from_config(dict(ROWS.get(name, {}), name=name) | changes)
