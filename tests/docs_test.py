"""The README and docs/: their code runs, their numbers and tables come from files."""

import pathlib
import re

import pytest

from dynsparse import configs
from experiments import readme

ROOT = readme.ROOT
README = (ROOT / "README.md").read_text()
PAGES = {str(page.relative_to(ROOT)): page.read_text() for page in readme.pages()}
CODE = re.compile(r"```python\n(.*?)```", re.S)
INSTALL = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && "


@pytest.mark.parametrize("name", [name for name in PAGES if CODE.search(PAGES[name])])
def test_code_runs_and_shows_what_the_page_says(name, capsys):
    known, blocks = {"__name__": name}, CODE.findall(PAGES[name])
    for code in blocks:
        exec(compile(code, name, "exec"), known)
    shown, code = capsys.readouterr().out, "\n".join(blocks)
    bills = "print(costs.bill(" in code or "print(paid)" in code
    assert ("total " in shown) == bills
    assert ("1 waiting" in shown) == ("print(answer.rung, answer.reason)" in code)
    assert "print(" in code or "\nassert " in code  # no page shows what nothing checks


@pytest.mark.parametrize("name", PAGES)
def test_what_is_generated_is_as_generated(name):
    assert readme.written_anew(PAGES[name]) == PAGES[name]


@pytest.mark.parametrize("kind", configs.TABLES)
def test_tables_have_a_line_for_every_row(kind):
    page = f"a <!-- table {kind} -->\nstale\n<!-- end of table --> b"
    text = readme.written_anew(page)
    assert text.count("\n| `") == len(configs.TABLES[kind])
    assert "stale" not in text
    assert all(row.advice.endswith(".") for row in configs.TABLES[kind].values())


@pytest.mark.parametrize("kind", [*configs.TABLES, "experiment"])
def test_every_table_is_in_a_guide(kind):
    assert any(f"<!-- table {kind} -->" in text for text in PAGES.values())


def test_the_numbers_of_the_first_command_are_in_the_results():
    assert readme.block(readme.DOCS) in PAGES["docs/results.md"]


@pytest.mark.parametrize("name", PAGES)
def test_links_and_images_lead_somewhere(name):
    folder = (ROOT / name).parent
    for link in re.findall(r"\]\((?!https?:)([^)#\s]+)", PAGES[name]):
        assert (folder / link).exists(), link


@pytest.mark.parametrize(
    "command",
    [
        INSTALL + ".venv/bin/python launch.py run --config=configs/cluttered_digits.py",
        INSTALL + ".venv/bin/python -m pytest",
    ],
)
def test_the_two_commands_are_word_for_word(command):
    assert f"    {command}\n" in README


def test_every_folder_is_explained():
    folders = {p.name for p in pathlib.Path("dynsparse").iterdir() if p.is_dir()}
    for folder in (name for name in folders if not name.startswith("_")):
        assert f"`{folder}`" in PAGES["docs/design.md"]


def test_the_readme_is_read_in_five_minutes():
    assert len(README.splitlines()) <= 150
