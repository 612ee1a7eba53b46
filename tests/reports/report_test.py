"""The files of a report: what they hold, and that they are whole."""

import csv
import dataclasses
import xml.etree.ElementTree

import pytest

from dynsparse import reports
from dynsparse._internal.atomic_write import atomic_write
from dynsparse.reports.tables import escape
from tests.reports import fake_sweep

REPORT = reports.Report(
    rows=[
        dict(method="soft_topk", accuracy=0.912345),
        dict(method="a|b", accuracy=None),
    ],
    columns=["method", "accuracy"],
    notes=["A note."],
    figure=lambda figure: figure.subplots().plot([1, 2]),
    measured=[dict(seed=1, accuracy=0.9), dict(seed=0, accuracy=0.92)],
    answer="**Supported**: for 2 of 2 places.",
)


CLAIM = "it is. What would refute it: that it is not."


def write(out, report=REPORT, where=fake_sweep.PLACE, **size):
    reports.write_report(
        out, report, name="name", claim=CLAIM, command="make it", where=where, **size
    )


@pytest.mark.parametrize("small", [False, True])
def test_a_small_sweep_says_so_in_words_and_figure(small, tmp_path):
    titles = []
    figure = lambda drawn: (drawn.subplots(), titles.append(drawn))
    write(tmp_path, dataclasses.replace(REPORT, figure=figure), small=small)
    said = (tmp_path / "report.md").read_text()
    assert ("Pipeline check" in said) == small
    assert ("**Supported**" in said) != small  # a small sweep answers nothing
    assert ("Pipeline check" in titles[0].get_suptitle()) == small


def test_a_report_is_seven_files_and_nothing_beside_them(tmp_path):
    write(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        *("report.md", "report.csv", "report.tex", "seeds.csv"),
        *("figure.png", "figure.svg", "figure.pdf"),
    }
    xml.etree.ElementTree.parse(tmp_path / "figure.svg")


def test_markdown_says_the_answer_before_the_table_and_the_refutation(tmp_path):
    write(tmp_path)
    text = (tmp_path / "report.md").read_text()
    parts = [
        "# name",
        "**Supported**: for 2 of 2 places.",
        "Claim: It is.",
        "A note.",
        "![name](figure.png)",
        "| soft_topk | 0.9123 |",
        r"| a\|b |  |",
        "What would refute it: that it is not.",
        "`make it`",
        "Measured at commit 0123456789ab on cpu (2 cores, x86_64)",
        "seeds 0, 1.",
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_csv_holds_the_numbers_as_they_are(tmp_path):
    write(tmp_path)
    with (tmp_path / "report.csv").open() as file:
        assert next(csv.DictReader(file))["accuracy"] == "0.912345"
    with (tmp_path / "seeds.csv").open() as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["1", "0"]


def test_latex_is_a_booktabs_table_with_its_text_escaped(tmp_path):
    write(tmp_path)
    assert (tmp_path / "report.tex").read_text().splitlines() == [
        r"\begin{tabular}{lr}",
        r"  \toprule",
        r"  method & accuracy \\",
        r"  \midrule",
        r"  soft\_topk & 0.9123 \\",
        r"  a\textbar{}b &  \\",
        r"  \bottomrule",
        r"\end{tabular}",
    ]


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("50 % of $x_1 & #2", r"50 \% of \$x\_1 \& \#2"),
        (r"{\a}", r"\{\textbackslash{}a\}"),
        (
            "a ± b ★ < ~^",
            r"a $\pm$ b $\star$ \textless{} \textasciitilde{}"
            r"\textasciicircum{}",
        ),
    ],
)
def test_latex_prints_what_was_written(text, latex):
    assert escape(text) == latex


def test_the_same_report_is_the_same_bytes(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    for out in (first, second):
        out.mkdir()
        write(out)
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_a_failure_leaves_the_report_of_before(tmp_path):
    write(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(figure):
        raise OSError("no space left on device")

    broken = reports.Report(REPORT.rows, REPORT.columns, figure=fail)
    with pytest.raises(OSError, match="no space"):
        write(tmp_path, broken)
    assert (tmp_path / "report.md").read_bytes() == before["report.md"]
    assert {path.name for path in tmp_path.iterdir()} == set(before)


def test_a_file_that_is_half_written_does_not_take_the_place(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")

    def write_half():
        with atomic_write(path) as file:
            file.write_text("aft")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write_half()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_runs_of_two_commits_are_said_to_be():
    other = fake_sweep.PLACE | dict(commit="abc+", packages=dict(jax="0.12.0"))
    where = reports.common_origin([fake_sweep.PLACE, other, fake_sweep.PLACE])
    assert where["commit"] == "0123456789ab and abc+"
    assert where["packages"] == dict(jax="0.10.2 and 0.12.0", numpy="2.4.6 and none")
    assert where["cores"] == 2


def test_a_changed_checkout_is_said_to_be(tmp_path):
    write(tmp_path, where=fake_sweep.PLACE | dict(commit="abc+12ef"))
    assert (
        "commit abc (with local changes 12ef)" in (tmp_path / "report.md").read_text()
    )
