"""How good is the gradient that each estimator of this library gives?

    python launch.py sweep experiments/estimator_quality.py:full --workdir=DIR

Claim: the mean of an estimator is the gradient of its expected loss where theory says
so: on every loss for REINFORCE and DisARM, on linear and quadratic ones for ReinMax, on
linear ones for perturbed top-k and for straight-through with the mean mask (Bernoulli,
sigmoid, SIMPLE, systematic rounding). What would refute it: a coordinate of such a mean
further than 4 standard errors from the enumerated gradient.

Units are few, so that the expected loss is a finite sum over hard masks, differentiated
in float64. Each estimator is held against the distribution of its own hard masks:

- `bernoulli`, `probit`: independent units, open by sigmoid(score) or Phi(score); what
  is relaxed, once rounded, and the deterministic sigmoid are held against the former;
- `k_subset`: p(z) proportional to exp(scores @ z) over the masks with k ones;
- `plackett_luce`: the k largest scores under Gumbel noise;
- `systematic`: systematic rounding of `soft_topk_mask`;
- `categorical`: one of n, by softmax(scores).

Relaxed masks (concrete, soft Gumbel-softmax) are biased here by what evaluating with
hard ones leaves; so is perturbed top-k, a mean of masks, unless the loss is linear.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from dynsparse import ops
from dynsparse.reports import Report, answer
from dynsparse.reports.figures import COLOURS
from dynsparse.reports.stats import Row
from .enumerated import LOSSES, SCORES, K, losses, true_gradients

NONE, LINEAR, QUADRATIC, EVERY = range(4)  # how many of them an estimator is exact on
ROUNDING = 1e-6  # of float32: no standard error is below this share of the truth
MARKERS = "os^vD<>pPXh"
FEW = {  # in the small sweep: one per kind
    "bernoulli": ("straight-through", "hard concrete", "ReinMax per unit", "DisARM"),
    "subset": ("SIMPLE", "I-MLE, step 1", "systematic rounding"),
    "categorical": ("ReinMax",),
}


class Estimator(NamedTuple):
    """A number whose gradient by the scores is the estimate.

    Attributes:
        surrogate: That number, from a key, the scores and the loss of a mask.
        distribution: Of the hard masks whose expected loss has the true gradient.
        unbiased: For how many of `LOSSES` the mean estimate is the truth, by theory.
    """

    surrogate: Callable[..., Any]
    distribution: str
    unbiased: int


@functools.cache
def estimators() -> dict[str, dict[str, Estimator]]:
    """Every estimator, by group and name.

    Straight-through is unbiased where every mask has the same slope, if the surrogate
    has that of the mean mask (noise inside it breaks this); ReinMax averages two.
    """

    def drawn(draw, distribution, unbiased=NONE, **options):
        surrogate = lambda key, scores, loss: loss(draw(key, scores, **options))
        return Estimator(surrogate, distribution, unbiased)

    def reinforce(draw, log_prob, distribution, samples=2, **options):
        def surrogate(key, scores, loss):
            rows = scores[None].repeat(samples, 0)
            masks = draw(key, rows, **options)
            return ops.reinforce_surrogate(log_prob(rows, masks), loss(masks))

        return Estimator(surrogate, distribution, EVERY)

    def disarm(key, scores, loss):
        noise = ops.logistic_perturb(key, scores) - scores
        pair = scores[None] + np.array([[1], [-1]]) * noise[None]
        masks = (pair > 0).astype(scores.dtype)
        return ops.disarm_surrogate(scores, masks, loss(masks))

    def simple(key, scores):
        hard = ops.k_subset_sample(key, scores, K)
        return ops.straight_through(hard, ops.k_subset_marginals(scores, K))

    def rounded(key, scores):
        mean = soft(scores)
        return ops.straight_through(ops.systematic_round(key, mean), mean)

    def gumbel_topk(key, scores, soft):
        noisy = ops.gumbel_perturb(key, scores)
        return ops.straight_through(ops.hard_topk_mask(noisy, K), soft(noisy))

    units, subset, order, one = "bernoulli", "k_subset", "plackett_luce", "categorical"
    sigmoid = lambda _, a: ops.sigmoid_straight_through(a)
    classes = lambda key, a: ops.reinmax(key, a[:, None] * np.array([[0, 1]]))[:, 1]
    soft = lambda s: ops.soft_topk_mask(s, K)
    relaxed = lambda s: ops.relaxed_subset_mask(None, s, K)
    softmax = lambda **options: drawn(ops.gumbel_softmax, one, **options)
    four = dict(k=K, sigma=1.0, num_samples=4)
    bits = (ops.bernoulli_straight_through, ops.bernoulli_log_prob, units)
    subsets = (ops.k_subset_sample, ops.k_subset_log_prob)
    return dict(
        bernoulli={
            "straight-through": drawn(ops.bernoulli_straight_through, units, LINEAR),
            "Gumbel-sigmoid, T=1": drawn(ops.gumbel_sigmoid, units, temperature=1.0),
            "Gumbel-sigmoid, T=0.3": drawn(ops.gumbel_sigmoid, units, temperature=0.3),
            "binary concrete, T=1": drawn(ops.binary_concrete, units, temperature=1.0),
            "hard concrete": drawn(ops.hard_concrete, units),
            "deterministic sigmoid": drawn(sigmoid, units, LINEAR),
            "semantic hashing": drawn(ops.semantic_hash, "probit"),
            "ReinMax per unit": drawn(classes, units, QUADRATIC),
            "REINFORCE, 2 samples": reinforce(*bits),
            "REINFORCE, 4 samples": reinforce(*bits, samples=4),
            "DisARM": Estimator(disarm, units, EVERY),
        },
        subset={
            "SIMPLE": drawn(simple, subset, LINEAR),
            "REINFORCE, 2 samples": reinforce(*subsets, subset, k=K),
            "I-MLE, step 1": drawn(ops.imle_topk_mask, order, k=K, step=1.0),
            "I-MLE, step 10": drawn(ops.imle_topk_mask, order, k=K, step=10.0),
            "Gumbel top-k, soft top-k": drawn(gumbel_topk, order, soft=soft),
            "Gumbel top-k, relaxed subset": drawn(gumbel_topk, order, soft=relaxed),
            "perturbed top-k": drawn(ops.perturbed_topk_mask, order, LINEAR, **four),
            "systematic rounding": drawn(rounded, "systematic", LINEAR),
        },
        categorical={
            "hard Gumbel-softmax, T=1": softmax(hard=True, temperature=1.0),
            "hard Gumbel-softmax, T=0.3": softmax(hard=True, temperature=0.3),
            "soft Gumbel-softmax, T=1": softmax(hard=False, temperature=1.0),
            "soft Gumbel-softmax, T=0.3": softmax(hard=False, temperature=0.3),
            "ReinMax": drawn(ops.reinmax, one, QUADRATIC),
            "REINFORCE, 2 samples": reinforce(*subsets, one, k=1),
        },
    )


def sweep(add, size):
    """One call of `add` per estimator."""
    draws = dict(small=20_000, full=200_000)[size]
    for group, names in dict(small=FEW, full=estimators())[size].items():
        for name in names:
            add(group=group, estimator=name, draws=draws, seed=0)


def measure(*, group: str, estimator: str, draws: int, seed: int) -> list[Row]:
    """Compares `draws` estimates with the true gradient; a row per loss.

    A row has `bias`, the norm of the error of the mean, and `bias_se`, what that is by
    chance (root mean square); `largest_z`, the largest error of a coordinate in its
    standard errors; `variance`, of one estimate, summed over the coordinates; cosines
    with the truth, where that of an estimate of 0 counts as 0.
    """
    surrogate, distribution, exact = estimators()[group][estimator]

    def gradient(key, index):  # traced: one compilation for all losses
        loss = lambda masks: jax.lax.switch(index, [*losses().values()], masks)
        return jax.grad(surrogate, argnums=1)(key, SCORES, loss)

    estimates = jax.jit(jax.vmap(gradient, (0, None)))
    keys = jax.random.split(jax.random.key(seed), draws)
    rows = []
    for index, truth in enumerate(true_gradients(distribution)):
        quality = _compare(np.asarray(estimates(keys, index), float), truth)
        unbiased = index < exact
        within = quality["largest_z"] <= 4 if unbiased else None
        row = dict(group=group, loss=LOSSES[index], estimator=estimator)
        row |= dict(distribution=distribution, unbiased=unbiased, within_4_se=within)
        rows.append(row | quality | dict(draws=draws, seed=seed))
    return rows


def _compare(estimates, truth):
    norm, size = np.linalg.norm, np.linalg.norm(truth)
    mean, variance = estimates.mean(0), estimates.var(0, ddof=1)
    standard_error = np.maximum((variance / len(estimates)) ** 0.5, ROUNDING * size)
    sizes = np.maximum(norm(estimates, axis=1), ROUNDING * size)
    quality = dict(
        largest_z=np.max(np.abs(mean - truth) / standard_error),
        bias=norm(mean - truth),
        bias_se=norm(standard_error),
        relative_bias=norm(mean - truth) / size,
        relative_deviation=variance.sum() ** 0.5 / size,
        variance=variance.sum(),
        cosine_of_mean=mean @ truth / norm(mean) / size,
        mean_cosine=(estimates @ truth / sizes).mean() / size,
    )
    return {name: float(value) for name, value in quality.items()}


def report(results: Sequence[Row]) -> Report:
    """The table by group and loss, least biased first; whether the claim holds."""
    groups = list(estimators())
    place = lambda row: (groups.index(row["group"]), LOSSES.index(row["loss"]))
    rows = sorted(results, key=lambda row: (*place(row), row["relative_bias"]))
    named = lambda row: f"{row['estimator']} ({row['group']}, {row['loss']})"
    listed = lambda rows: "; ".join(map(named, rows)) or "none"
    exact = [row for row in rows if row["unbiased"]]
    others = [row for row in rows if not row["unbiased"]]
    furthest = max(exact, key=lambda row: row["largest_z"])
    worst = max(others, key=lambda row: row["relative_bias"])
    notes = [
        f"{len(exact)} rows are unbiased by theory. Not within 4 standard errors: "
        f"{listed(row for row in exact if not row['within_4_se'])}. The furthest is "
        f"{named(furthest)}, by {furthest['largest_z']:.2f}.",
        f"{len(others)} are biased. Within 4 standard errors all the same: "
        f"{listed(row for row in others if row['largest_z'] <= 4)}. The most biased is "
        f"{named(worst)}, by {worst['relative_bias']:.2f} of the norm of the truth.",
    ]
    columns = list(rows[0])[:-2]  # not draws and seed
    said = answer([r["within_4_se"] for r in exact], "rows unbiased by theory")
    draw = lambda figure: _draw(figure, rows, place)
    return Report(rows, columns, notes, draw, answer=said)


def _draw(figure, rows, place):
    """Bias against deviation; what is below the axes lies on their edges."""
    figure.set_size_inches(12, 9)
    shape = len(estimators()), len(LOSSES)
    panels = figure.subplots(*shape, sharex=True, sharey=True)
    ends = np.array([1e-2, 10])
    for row in rows:
        name, panel = row["estimator"], panels[place(row)]
        index = list(estimators()[row["group"]]).index(name)
        style = dict(marker=MARKERS[index], color=COLOURS[index % len(COLOURS)], ls="")
        style |= dict(fillstyle="full" if row["unbiased"] else "none", clip_on=False)
        x, y = max(row["relative_deviation"], ends[0]), max(row["relative_bias"], 1e-4)
        panel.loglog(x, y, label=name, **style)
        panel.set(title=f"{row['group']}, {row['loss']}", xlim=ends, ylim=(1e-4, 2))
    for panel in panels.flat:
        panel.loglog(ends, ends / rows[0]["draws"] ** 0.5, "k:")
    for panel in panels[:, -1]:
        panel.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.suptitle("filled: unbiased by theory; dotted: noise; edges: or less")
    figure.supxlabel("standard deviation of one estimate / norm of the true gradient")
    figure.supylabel("bias / norm of the true gradient")
