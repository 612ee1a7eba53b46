"""Sampled densities, their ramp, and distillation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse.budgets import Distillation, Ramp, sampling, set_density
from tests.layers.small_layers import build

ROWS = dict(
    uniform=dict(low=0.2, high=0.6, full=0.25),
    log_uniform=dict(low=0.1, high=0.8, full=0.25),
    sandwich=dict(low=0.2, high=0.9, draws=2),
)


def draw(name, number=20_000):
    drawn = sampling.from_config(dict(name=name) | ROWS[name])
    keys = jax.random.split(jax.random.key(0), number)
    densities = np.asarray(jax.vmap(drawn)(keys))
    assert densities.shape == (number, drawn.passes)
    return densities


def test_every_way_to_draw_has_a_row():
    assert sampling.available() == sorted(ROWS)


def test_uniform_densities_fill_the_range_and_the_share_of_full_ones():
    drawn = draw("uniform")[:, 0]
    full = drawn == 1
    np.testing.assert_allclose(
        full.mean(), 0.25, atol=4 * (0.25 * 0.75 / 20_000) ** 0.5
    )
    rest = drawn[~full]
    assert ((rest >= 0.2) & (rest < 0.6)).all()
    np.testing.assert_allclose(rest.mean(), 0.4, atol=4 * 0.4 / (12 * 15_000) ** 0.5)


def test_log_uniform_densities_are_as_many_in_each_octave():
    drawn = draw("log_uniform")[:, 0]
    rest = drawn[drawn != 1]
    octaves, _ = np.histogram(rest, (0.1, 0.2, 0.4, 0.8001))
    assert octaves.sum() == len(rest)
    share, error = 1 / 3, 4 * (2 / 9 / len(rest)) ** 0.5
    np.testing.assert_allclose(octaves / len(rest), share, atol=error)


def test_a_sandwich_has_both_ends_and_draws_between_them():
    drawn = draw("sandwich")
    np.testing.assert_allclose(drawn[:, 0], 0.9)
    np.testing.assert_allclose(drawn[:, -1], 0.2)
    between = drawn[:, 1:-1]
    assert between.shape[1] == 2
    assert ((between >= 0.2) & (between < 0.9)).all()
    np.testing.assert_allclose(
        between.mean(), 0.55, atol=4 * 0.7 / (12 * 40_000) ** 0.5
    )


def test_set_density_reaches_every_gate_that_has_one():
    model = nnx.List([build("tokens", "soft_topk"), build("tokens", "gumbel_sigmoid")])
    set_density(model, jnp.float32(0.7))
    np.testing.assert_allclose(model[0].gate.density[...], 0.7)


@pytest.mark.parametrize("form", ["linear", "cosine", "cubic"])
def test_a_ramp_falls_from_everything_open_to_its_value(form):
    ramp = Ramp(form=form, start=0.2, until=0.6)
    path = np.array([ramp(0.3, p) for p in np.linspace(0, 1, 21)])
    assert (path[:5] == 1).all()
    np.testing.assert_allclose(path[12:], 0.3, rtol=1e-6)
    assert (np.diff(path) <= 1e-7).all()
    halfway = dict(linear=0.5, cosine=0.5, cubic=1 - 0.5**3)[form]
    np.testing.assert_allclose(path[8], 1 - 0.7 * halfway, rtol=1e-5)


def distillation(*, weight=1.0, temperature=1.0, features=0.0):
    return Distillation(weight=weight, temperature=temperature, features=features)


def test_distillation_mixes_labels_and_the_answer_of_the_first_pass():
    logits = jax.random.normal(jax.random.key(0), (3, 4, 5))
    losses = jnp.arange(12.0).reshape(3, 4)
    mixed = distillation(weight=0.25, temperature=2.0)(losses, logits)
    soft = np.exp(np.asarray(logits) / 2)
    soft /= soft.sum(-1, keepdims=True)
    for student in (1, 2):
        distance = (soft[0] * np.log(soft[0] / soft[student])).sum(-1)
        expected = 0.75 * losses[student] + 0.25 * 4 * distance
        np.testing.assert_allclose(mixed[student], expected, rtol=1e-5)
    np.testing.assert_array_equal(mixed[0], losses[0])


def test_distillation_does_not_move_the_teacher():
    logits = jax.random.normal(jax.random.key(0), (3, 4, 5))
    distil = distillation()
    gradient = jax.grad(lambda x: distil(jnp.zeros((3, 4)), x).sum())(logits)
    assert (gradient[0] == 0).all()
    # Of the divergence by the student's logits: its softmax minus the teacher's.
    expected = jax.nn.softmax(logits[1:]) - jax.nn.softmax(logits[:1])
    np.testing.assert_allclose(gradient[1:], expected, atol=1e-5)


def test_hints_are_the_relative_distance_of_what_each_head_read():
    keys = jax.random.split(jax.random.key(0), 3)
    logits, narrow, wide = (
        jax.random.normal(key, (3, 4, n))
        for key, n in zip(keys, (5, 2, 6), strict=True)
    )
    losses = jnp.zeros((3, 4))
    plain = distillation(weight=0.5)
    hinted = distillation(weight=0.5, features=0.75)
    rest = plain(losses, logits, [narrow, wide])
    np.testing.assert_array_equal(rest, plain(losses, logits))
    added = hinted(losses, logits, [narrow, wide]) - rest
    for student in (1, 2):
        expected = 0.75 * sum(
            ((x[student] - x[0]) ** 2).mean(-1) / (x[0] ** 2).mean()
            for x in map(np.asarray, (narrow, wide))
        )
        np.testing.assert_allclose(added[student], expected, rtol=1e-5)
    assert (added[0] == 0).all()
    gradient = jax.grad(lambda x: hinted(losses, logits, [x]).sum())(wide)
    assert (gradient[0] == 0).all()
    assert gradient[1:].all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: sampling.from_config(
                dict(name="uniform", low=0.0, high=1.0, full=0.0)
            ),
            r"low must be in \(0, 1\], got 0.0",
        ),
        (
            lambda: sampling.from_config(
                dict(name="sandwich", low=0.6, high=0.5, draws=1)
            ),
            "low must be at most high=0.5, got 0.6",
        ),
        (
            lambda: sampling.from_config(
                dict(name="uniform", low=0.1, high=1.0, full=2.0)
            ),
            "full must be in",
        ),
        (
            lambda: sampling.from_config(
                dict(name="sandwich", low=0.1, high=1.0, draws=-1)
            ),
            "draws must be >= 0, got -1",
        ),
        (
            lambda: Ramp(form="square", start=0.0, until=1.0),
            "form must be one of .*cosine.*, got 'square'",
        ),
        (
            lambda: Ramp(form="cubic", start=0.5, until=0.5),
            "until must be above start=0.5, got 0.5",
        ),
        (lambda: distillation(weight=2.0), "weight must be in"),
        (lambda: distillation(temperature=0.0), "temperature must be > 0"),
        (lambda: distillation(features=-1.0), "features must be >= 0, got -1"),
    ],
)
def test_values_out_of_range_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
