"""Histories of users: in order of time, one target held out after another."""

import pytest

from dynsparse import data
from tests.data import written

# Items as they are numbered: in order of appearance, 50 40 30 20 10 60. User 3 took
# 20 40 10 50 30 (10 a second time later), user 5 took 10 20 30 60.
EXPECTED = {
    "train": [([3, 1], 4), ([4], 3)],
    "validation": [([3, 1, 4], 0), ([4, 3], 2)],
    "test": [([1, 4, 0], 2), ([4, 3, 2], 5)],
}


@pytest.mark.parametrize("row", ["interactions", "interactions_dat"])
@pytest.mark.parametrize("part", EXPECTED)
def test_the_last_items_in_time_are_the_targets(tmp_path, row, part):
    source = getattr(data.from_config(written.written(row, tmp_path)), part)
    assert len(source) == 2
    for record, (history, target) in zip(source, EXPECTED[part], strict=False):
        assert record["target"] == target
        assert record["history"][record["valid"]].tolist() == history
        assert (record["history"][~record["valid"]] == 6).all()
        assert record["valid"].tolist() == [i < len(history) for i in range(3)]


def test_only_ratings_that_are_high_enough_count(tmp_path):
    config = written.written("interactions", tmp_path) | dict(min_rating=3.5)
    splits = data.from_config(config)
    assert splits.facts.items() >= dict(num_users=1, num_items=5).items()
    assert splits.test[0]["target"] == splits.facts["num_items"] - 1  # the item 60


def test_without_times_the_order_is_of_the_seed(tmp_path):
    lines = [f"{user},{item}" for user in range(5) for item in range(20)]
    file = tmp_path / "chosen.csv"
    file.write_text("\n".join(["user,item", *lines]))
    read = lambda seed: data.from_config(
        dict(
            name="interactions",
            path=str(file),
            max_length=19,
            min_rating=0.0,
            seed=seed,
        )
    )
    targets = lambda seed: [record["target"].item() for record in users(read(seed))]
    assert targets(0) == targets(0) != targets(1)
    assert len(set(targets(0))) > 1
    for record in users(read(0)):
        assert sorted([*record["history"].tolist(), record["target"]]) == [*range(20)]


def users(splits):
    return [splits.test[index] for index in range(len(splits.test))]


def test_a_matrix_is_the_same_set_of_items_by_user(tmp_path):
    splits = data.from_config(written.written("interactions_csr", tmp_path))
    found = [{*r["history"][r["valid"]].tolist(), r["target"]} for r in users(splits)]
    assert len(found) == 2
    assert found[1] == {0, 1, 2, 5}  # columns 10 20 30 60 of 10 20 30 40 50 60
    assert splits.facts["num_items"] == 6
