"""Every estimator is biased exactly where theory says, against an exact enumeration."""

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsparse import ops
from experiments import enumerated, estimator_quality
from experiments.enumerated import LOSSES, SCORES, K, losses, outcomes
from tests.experiments.trials import trials_of
from tests.sampled import sampled

DRAWS = 30_000
TRIALS = [{**t, "draws": DRAWS} for t in trials_of(estimator_quality)]
SAMPLERS = dict(  # hard masks, by something else than what the truths are made from
    bernoulli=ops.bernoulli_straight_through,
    probit=lambda key, scores: (ops.semantic_hash(key, scores) > 0.5).astype(float),
    k_subset=lambda key, scores: ops.k_subset_sample(key, scores, K),
    plackett_luce=lambda key, scores: ops.gumbel_topk_mask(key, scores, K),
    systematic=lambda key, scores: ops.systematic_round(
        key, ops.soft_topk_mask(scores, K)
    ),
    categorical=lambda key, scores: ops.gumbel_softmax(key, scores, hard=True),
)
ALONE = sum(estimator_quality.FEW.values(), ())  # one per kind, as in the small sweep
every_distribution = pytest.mark.parametrize("distribution", SAMPLERS)


@pytest.mark.parametrize(
    "trial",
    sampled(TRIALS, ALONE, lambda t: t["estimator"]),
    ids=lambda t: f"{t['group']}-{t['estimator']}",
)
def test_a_bias_shows_exactly_where_theory_has_one(trial):
    rows = estimator_quality.measure(**trial)
    assert [row["loss"] for row in rows] == list(LOSSES)
    for row in rows:
        assert row["unbiased"] == (row["largest_z"] <= 4), row


def test_the_names_of_the_small_sweep_are_those_of_estimators():
    groups = estimator_quality.estimators()
    for group, few in estimator_quality.FEW.items():
        assert set(few) <= set(groups[group])


def test_every_distribution_is_that_of_an_estimator():
    groups = estimator_quality.estimators().values()
    used = {estimator.distribution for group in groups for estimator in group.values()}
    assert used == set(SAMPLERS)


@every_distribution
def test_truth_is_the_finite_difference_of_the_expected_loss(distribution):
    @jax.jit
    def expected(scores):
        masks, probabilities = outcomes(distribution, scores)
        return jnp.stack([probabilities @ loss(masks) for loss in losses().values()])

    step = 1e-5 * np.eye(len(SCORES))
    with jax.enable_x64(True):
        above = [expected(SCORES.astype(float) + row) for row in step]
        below = [expected(SCORES.astype(float) - row) for row in step]
    slopes = (np.array(above) - np.array(below)).T / 2e-5
    truth = enumerated.true_gradients(distribution)
    np.testing.assert_allclose(slopes, truth, rtol=1e-6, atol=1e-8)
    assert (np.linalg.norm(truth, axis=1) > 0.05).all()  # zeros would agree too


@every_distribution
def test_enumerated_probabilities_are_those_of_the_sampler(distribution, key):
    scores = jnp.asarray(SCORES)
    draw = jax.jit(jax.vmap(SAMPLERS[distribution], (0, None)))
    drawn = draw(jax.random.split(key, DRAWS), scores)
    code = lambda masks: np.asarray(masks).astype(int) @ [8, 4, 2, 1]
    masks, probabilities = jax.jit(outcomes, static_argnums=0)(distribution, scores)
    expected = np.bincount(code(masks), probabilities, minlength=16)
    seen = np.bincount(code(drawn), minlength=16) / DRAWS
    np.testing.assert_allclose(expected.sum(), 1, rtol=1e-6)
    error = np.sqrt(expected * (1 - np.minimum(expected, 1)) / DRAWS)
    assert (np.abs(seen - expected) <= 4 * error + 1e-6).all()


def test_every_operator_with_noise_or_a_surrogate_is_in_an_estimator():
    used = re.findall(r"\bops\.(\w+)", inspect.getsource(estimator_quality))
    estimating = {
        name
        for name, operator in vars(ops).items()
        if name.endswith(("surrogate", "straight_through"))
        or (
            inspect.isfunction(operator)
            and "key" in inspect.signature(operator).parameters
        )
    }
    samplers = {"gumbel_topk_mask"}  # without a gradient
    assert estimating - samplers <= set(used)


def test_the_notes_name_what_refutes_the_claim():
    row = dict(group="bernoulli", loss="linear", estimator="DisARM", within_4_se=True)
    row |= dict(unbiased=True, largest_z=3.0, relative_bias=0.1, draws=1, seed=0)
    refuting = row | dict(loss="network", largest_z=5.0, within_4_se=False)
    biased = row | dict(loss="quadratic", unbiased=False, within_4_se=None)
    first, second = estimator_quality.report([row, refuting, biased]).notes
    assert "standard errors: DisARM (bernoulli, network)." in first
    assert "by 5.00" in first
    assert "all the same: DisARM (bernoulli, quadratic)." in second
