"""Where configs and experiments are found, and by what name they are found again."""

import sys
import types

import pytest

from dynsparse.launching import UserError, shipped
from dynsparse.launching.experiment import load_sweep

FORM = '''"""Squares?

Claim: they are.
"""


def sweep(add, size):
    """None."""


def report(rows):
    """None."""
'''


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty current folder, of which nothing is on the path or imported before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("dynsparse_of_mine"):
            del sys.modules[name]


@pytest.mark.parametrize("asked", ["any_budget", "experiments/any_budget.py"])
def test_what_is_shipped_is_found_from_any_folder(asked, elsewhere):
    found = load_sweep(asked)
    assert found.path == "experiments/any_budget.py"
    assert found.name == "any_budget"
    assert load_sweep(found.path) == found


def test_a_file_is_found_by_its_path_and_again_from_another_folder(
    elsewhere, monkeypatch
):
    (elsewhere / "dynsparse_of_mine.py").write_text(FORM)
    found = load_sweep("dynsparse_of_mine.py")
    assert found.path == str(elsewhere / "dynsparse_of_mine.py")
    (elsewhere / "other").mkdir()
    monkeypatch.chdir(elsewhere / "other")
    assert load_sweep(found.path) == found


def test_a_module_of_the_current_folder_is_found_by_its_dotted_name(elsewhere):
    (elsewhere / "dynsparse_of_mine_too").mkdir()
    (elsewhere / "dynsparse_of_mine_too/squares.py").write_text(FORM)
    found = load_sweep("dynsparse_of_mine_too.squares")
    assert (found.path, found.name) == ("dynsparse_of_mine_too.squares", "squares")
    assert load_sweep(found.path) == found


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("any_budgte", "no such Python file: 'any_budgte'; did you mean any_budget?"),
        ("experiments/nothing.py", "no such Python file: 'experiments/nothing.py'"),
        ("nowhere.squares", "ModuleNotFoundError: No module named 'nowhere'"),
        ("dynsparse.launching.process", "is no experiment: it has no sweep()"),
    ],
)
def test_what_is_no_experiment_is_refused(asked, told, elsewhere):
    with pytest.raises(UserError) as caught:
        load_sweep(asked)
    assert told in str(caught.value)


def test_a_file_whose_name_is_taken_is_refused(elsewhere, monkeypatch):
    (elsewhere / "dynsparse_of_mine.py").write_text(FORM)
    taken = types.ModuleType("dynsparse_of_mine")
    taken.__file__ = "other.py"
    monkeypatch.setitem(sys.modules, "dynsparse_of_mine", taken)
    with pytest.raises(UserError, match="another module is called 'dynsparse_of_mine'"):
        shipped.load_module("dynsparse_of_mine.py", "experiments")
