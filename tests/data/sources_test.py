"""Sources: the same examples, however they are read."""

import grain
import numpy as np
import pytest

from dynsparse.data import Arrays, Deferred, Splits, read_batch

ROWS = dict(x=np.arange(12.0).reshape(6, 2), y=np.arange(6))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Arrays(ROWS),
        lambda: [Arrays(ROWS)[index] for index in range(6)],
        lambda: Deferred(lambda: Arrays(ROWS)),
        lambda: grain.MapDataset.source(Arrays(ROWS)),
        lambda: Arrays(ROWS).take(np.arange(6)),
        lambda: Arrays(ROWS).take(np.ones(6, bool)),
    ],
    ids=["arrays", "list", "deferred", "grain", "taken", "taken by a mask"],
)
def test_every_source_gives_the_same_batch(make):
    source = make()
    assert len(source) == 6
    batch = read_batch(source, [4, 1, 1])
    assert batch.keys() == ROWS.keys()
    for name, array in batch.items():
        np.testing.assert_array_equal(array, ROWS[name][[4, 1, 1]])
        assert array.dtype == ROWS[name].dtype


@pytest.mark.parametrize("arrays", [{}, dict(x=np.zeros(2), y=np.zeros(3))])
def test_arrays_that_are_not_rows_of_one_another_are_named(arrays):
    with pytest.raises(ValueError, match="as long as each other"):
        Arrays(arrays)


def test_deferred_splits_are_made_once_and_not_before():
    made = []

    def make():
        made.append(1)
        source = Arrays(ROWS)
        return Splits(train=source, validation=source, test=source)

    splits = Splits.deferred(make().known(), make)
    assert splits.example["x"].shape == (2,)
    assert len(made) == 1  # for the facts
    assert (len(splits.train), len(splits.test)) == (6, 6)
    assert len(made) == 2
