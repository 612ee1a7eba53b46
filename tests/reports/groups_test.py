"""Comparisons in groups: each is the comparison of its own rows."""

import matplotlib.figure
import pytest

from dynsparse import reports
from tests.reports import fake_sweep


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    fake_sweep.write_sweep(folder)
    return fake_sweep.read_sweep(folder)


GROUPS = dict(soft_topk="tokens", gumbel_sigmoid="blocks", random_topk="tokens")


def group(row):
    return GROUPS.get(row["method"])


def test_a_group_is_compared_by_itself_with_the_baselines_of_all(rows):
    report = reports.compare_methods(rows, group=group, by="unit", notes=["First."])
    assert report.columns[0] == "unit"
    assert report.notes[0] == "First."
    for name in ("tokens", "blocks"):
        own = [row for row in rows if group(row) in (name, None)]
        alone = reports.compare_methods(own)
        mine = [row for row in report.table if row["unit"] == name]
        assert [{k: v for k, v in row.items() if k != "unit"} for row in mine] == list(
            alone.table
        )
        after = report.notes.index(f"**{name}**") + 1
        assert report.notes[after : after + len(alone.notes)] == alone.notes
    methods = {row["method"] for row in report.rows if row["unit"] == "blocks"}
    assert methods == {"gumbel_sigmoid", "dense"}


def test_each_group_has_its_panels(rows):
    report = reports.compare_methods(rows, group=group, by="unit")
    figure = matplotlib.figure.Figure(layout="constrained")
    report.figure(figure)
    assert [part.get_suptitle() for part in figure.subfigs] == ["blocks", "tokens"]
    assert [len(part.axes) for part in figure.subfigs] == [2, 2]


def test_rows_without_a_group_are_refused(rows):
    with pytest.raises(ValueError, match="a row that belongs to one"):
        reports.compare_methods(rows, group=lambda row: None, by="unit")
