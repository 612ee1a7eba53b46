"""Verdicts at equal MACs in closed form: what is compared and what not."""

import numpy as np
import pytest

from dynsparse.reports.comparison import findings, judge
from dynsparse.reports.tradeoff import read_points

SEEDS = (0, 1, 2)
NAMED = dict.fromkeys(("dense", "strong", "weak", "narrower"), "in words")


def rows(method, curve, seeds=SEEDS, size=1.0):
    """A trial per seed; `curve` is MACs and accuracy, `size` that of its network."""
    return [
        dict(
            method=method,
            setting=f"{size}",
            seed=seed,
            macs_mean=1e6 * macs,
            macs_dense=1e6 * size,
            latency_ms=macs,
            latency_dense_ms=size,
            score=accuracy + 0.001 * seed,
        )
        for seed in seeds
        for macs, accuracy in curve
    ]


DENSE = rows("dense", [(1.0, 0.9)])
METHOD = rows("method", [(0.75, 0.8)])
STRONG = [(0.5, 0.7), (1.0, 0.9)]  # 0.8 at 0.75
WEAK = [(0.5, 0.5), (1.0, 0.9)]  # 0.7 at 0.75


def verdict(*found):
    points = read_points([row for some in found for row in some])
    (verdict,) = judged(points)
    return verdict


def judged(points):
    """The rows that were compared with a baseline."""
    return [row for row in judge(points, NAMED) if "baseline" in row]


def claim(*found):
    points = read_points([row for some in found for row in some])
    _, (_, claims, *_) = findings(points, judge(points, NAMED), NAMED)
    return claims


def test_the_best_is_the_most_accurate_one():
    found = verdict(DENSE, METHOD, rows("weak", WEAK), rows("strong", STRONG))
    assert (found["baseline"], found["absent"]) == ("strong", "")
    np.testing.assert_allclose(found["difference"].mean, 0, atol=1e-12)


def test_a_baseline_without_a_seed_is_not_compared_and_named():
    arms = DENSE, METHOD, rows("weak", WEAK), rows("strong", STRONG, seeds=(0, 1))
    found = verdict(*arms)
    assert (found["baseline"], found["absent"]) == ("weak", "strong")
    assert found["difference"].number == len(SEEDS)
    assert "at 0.75 (no strong there)" in claim(*arms)


def test_a_baseline_that_does_not_reach_the_macs_is_named():
    short = rows("strong", [(0.2, 0.7), (0.5, 0.9)])
    assert "at 0.75 (no strong there)" in claim(
        DENSE, METHOD, rows("weak", WEAK), short
    )


def test_points_without_any_baseline_are_named():
    both = rows("method", [(0.75, 0.8), (0.3, 0.7)])
    assert "; no baseline at 0.30)" in claim(DENSE, both, rows("weak", WEAK))


@pytest.mark.parametrize(
    ("gaps", "word"),
    [
        ((0.1, 0.1), "supported (better at 0.75, 0.60)"),
        ((0.1, None), "supported in part (better at 0.75; undecided at 0.60)"),
        ((0.1, -0.1), "supported in part (better at 0.75; worse at 0.60)"),
        ((None, -0.1), "contradicted (worse at 0.60; undecided at 0.75)"),
        ((None, None), "inconclusive (undecided at 0.75, 0.60)"),
    ],
)
def test_a_claim_is_supported_contradicted_or_inconclusive(gaps, word):
    flat = rows("strong", [(0.5, 0.7), (0.9, 0.7)])
    points = rows("method", [(0.75, 0.7 + (gaps[0] or 0)), (0.6, 0.7 + (gaps[1] or 0))])
    for row, gap in zip(points, gaps * len(SEEDS), strict=True):
        noise = (0.001, -0.001, 0.0)[row["seed"]]
        row["score"] += noise if gap else 10 * noise
    assert f"- method: {word}." in claim(DENSE, flat, points)


def test_a_claim_is_not_whole_where_a_baseline_is_missing():
    method, short = rows("method", [(0.75, 0.9)]), rows("strong", [(0.2, 0.7)])
    for row in method:
        row["score"] += (0.001, -0.001, 0.0)[row["seed"]]
    words = "- method: supported in part (better at 0.75 (no strong there))"
    assert words in claim(DENSE, method, rows("weak", WEAK), short)


NARROWER = rows("narrower", [(0.5, 0.5)], size=0.5)


def test_smaller_dense_networks_end_at_the_dense_one():
    found = verdict(DENSE, METHOD, NARROWER)  # 0.7 at 0.75
    assert (found["baseline"], found["absent"]) == ("narrower", "")
    np.testing.assert_allclose(found["difference"].mean, 0.1)


def test_the_end_belongs_to_its_own_seed():
    assert not judged(read_points([*DENSE[:2], *METHOD, *NARROWER]))


def test_a_gated_smaller_network_does_not_end_at_the_dense_one():
    gated = rows("weak", [(0.5, 0.5), (0.25, 0.4)], size=0.5)
    assert not judged(read_points([*DENSE, *METHOD, *gated]))
