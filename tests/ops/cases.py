"""Scores, counts and temperatures to try operators with, and which of them to try."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from tests.ops.rows import (
    KINDS,
    ROWS,
    SIZES,
    TEMPERATURES,
    draw_scores,
)
from tests.sampled import sampled

# One row of each solver and each kind of arithmetic.
FEW = (
    "logistic",
    "capped_sorted",
    "power_3_2",
    "k_subset",
    "dftopk",
    "soft_sort",
    "relaxed_subset",
)


@st.composite
def cases(draw, sizes=SIZES):
    """Scores, k and temperature; k is rounded where the operator wants that."""
    n = draw(st.sampled_from(sizes))
    k = draw(
        st.one_of(
            st.sampled_from([0.0, 1e-3, 0.5, n / 2, n - 0.5, n - 1e-3, float(n)]),
            st.integers(0, n).map(float),
        )
    )
    temperature = draw(st.sampled_from(TEMPERATURES))
    scores = draw_scores(draw(st.sampled_from(KINDS)), n, draw(st.integers(0, 1000)))
    return scores, float(np.float32(min(max(k, 0), n))), float(np.float32(temperature))


def fit(name, case):
    scores, k, temperature = case
    row = ROWS[name]
    return scores, k if row.real else float(round(k)), max(temperature, row.coldest)


def rows(usual=tuple(ROWS), **flags):
    """The rows for which all of `flags` hold; those not `usual` are marked full."""
    names = [
        name
        for name, row in ROWS.items()
        if all(getattr(row, flag) == value for flag, value in flags.items())
    ]
    assert names
    return pytest.mark.parametrize("name", sampled(names, usual))


thorough = settings(deadline=None, max_examples=40, derandomize=True)
