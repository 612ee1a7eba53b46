"""The README: its code runs, its numbers come from files, its commands are the ones."""

import pathlib
import re

import pytest

import configs
from experiments import readme

TEXT = (readme.ROOT / "README.md").read_text()
INSTALL = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && "


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", TEXT, re.S))
def test_code_runs(code, capsys):
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    shown = "total" if "costs.bill(" in code else "1 waiting"
    assert shown in capsys.readouterr().out


def test_there_is_code_to_run():
    assert "```python\n" in TEXT


def test_numbers_are_those_of_the_committed_results():
    for page in readme.pages():
        assert readme.written_anew(page.read_text()) == page.read_text(), page
    assert readme.block(readme.DOCS) in TEXT
    assert readme.reported("any_budget") in TEXT


@pytest.mark.parametrize("kind", configs.TABLES)
def test_tables_have_a_line_for_every_row(kind):
    page = f"a <!-- table {kind} -->\nstale\n<!-- end of table --> b"
    text = readme.written_anew(page)
    assert text.count("\n| `") == len(configs.TABLES[kind])
    assert "stale" not in text
    assert all(row.advice.endswith(".") for row in configs.TABLES[kind].values())


def test_answers_are_linked_where_an_experiment_has_them():
    results = readme.ROOT / "experiments/results"
    full = sorted(path.parent.name for path in results.glob("*/report.md"))
    links = re.findall(r"\(experiments/results/(\w+)/report\.md\)", TEXT)
    assert sorted(links) == full


def test_images_are_there():
    images = re.findall(r"!\[.*?\]\((.*?)\)", TEXT)
    assert len(images) == 3
    assert all((readme.ROOT / image).exists() for image in images)


@pytest.mark.parametrize(
    "command",
    [
        INSTALL + ".venv/bin/python launch.py run --config=configs/cluttered_digits.py",
        INSTALL + ".venv/bin/python -m pytest",
    ],
)
def test_the_two_commands_are_word_for_word(command):
    assert f"    {command}\n" in TEXT


def test_every_folder_is_explained():
    folders = {p.name for p in pathlib.Path("dynsparse").iterdir() if p.is_dir()}
    for folder in (name for name in folders if not name.startswith("_")):
        assert f"`{folder}`" in TEXT
