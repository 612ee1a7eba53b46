"""Prices of many counts from a few traces."""

import numpy as np
import pytest

from dynsparse.costs.tables import Table


def quadratic(counts):  # tokens, whose price is no line, and neurons inside of them
    tokens, neurons = counts
    return 7 + tokens * tokens + 3 * min(neurons, 8 * tokens)


def free_when_full(counts):  # a decision that is not needed is not made
    (units,) = counts
    return 5 * units + (units < 16)


ROWS = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("price", "equal", "rows"),
    [
        (
            quadratic,
            [False, True],
            [(t, n) for t in range(6) for n in range(8 * t)],
        ),
        (quadratic, [False, False], [(t, n) for t in range(5) for n in range(9)]),
        (free_when_full, [True], [(n,) for n in range(17)]),
        (lambda counts: sum(counts) ** 2, [True, True], np.ndindex(6, 6)),
        (lambda counts: counts[0] * counts[1], [True, True], np.ndindex(6, 6)),
        (lambda counts: 0, [False], [(3,), (3,)]),
    ],
)
def test_every_row_has_its_own_price(price, equal, rows):
    rows = ROWS.permutation(np.array(list(rows)))
    found = Table(price, equal=equal)(rows)
    np.testing.assert_array_equal(found, [price(tuple(row)) for row in rows.tolist()])


def test_units_of_equal_price_are_asked_for_a_few_times_only():
    asked = []
    Table(lambda counts: asked.append(counts) or 2 * counts[0], equal=[True])(
        np.arange(1000)[:, None]
    )
    assert len(asked) <= 4
