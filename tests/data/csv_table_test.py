"""A table of numbers: its columns, its parts, and what is known of them."""

import numpy as np

from dynsparse import data
from tests.data import written

whole = lambda source: data.read_batch(source, np.arange(len(source)))


def test_rows_are_those_of_the_file_each_in_one_part(tmp_path):
    config = written.written("csv_table", tmp_path)
    splits = data.from_config(config)
    parts = [whole(p) for p in (splits.train, splits.validation, splits.test)]
    assert [len(part["target"]) for part in parts] == [12, 4, 4]
    rows = [np.c_[part["features"], part["target"]] for part in parts]
    table = np.loadtxt(config["path"], delimiter=",", skiprows=1, dtype=np.float32)
    ordered = lambda rows: rows[np.argsort(rows[:, 0])]
    np.testing.assert_array_equal(ordered(np.concatenate(rows)), ordered(table[:, 1:]))


def test_facts_are_the_names_of_the_columns(tmp_path):
    splits = data.from_config(written.written("csv_table", tmp_path))
    assert splits.facts["feature_names"] == ["width", "same"]


def test_the_seed_chooses_the_rows(tmp_path):
    config = written.written("csv_table", tmp_path)
    tests = [whole(data.from_config(config | dict(seed=s)).test) for s in (0, 1)]
    assert set(tests[0]["target"].tolist()) != set(tests[1]["target"].tolist())


def test_quotes_and_marks_of_the_byte_order_are_no_cells(tmp_path):
    config = written.written("csv_table", tmp_path)
    plain = whole(data.from_config(config).test)
    file = tmp_path / "table.csv"
    text = file.read_text().replace("id,width", '"id","width"')
    file.write_text(f"\ufeff{text}\n", "utf-8")
    np.testing.assert_array_equal(
        whole(data.from_config(config).test)["features"], plain["features"]
    )
