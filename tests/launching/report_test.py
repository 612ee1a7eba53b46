"""An experiment whose own code raises: one line that names it, and the traceback."""

import pytest

from dynsparse.reports import Report
from tests.launching.commands import sweep_of

TOYS = "tests/launching/toys.py"


def raises(*_):
    raise KeyError("accuracy")


def draws_and_raises(rows):
    return Report(rows, list(rows[0]), figure=raises)


@pytest.mark.parametrize("report", [raises, draws_and_raises])
@pytest.mark.parametrize("trials", [1, 2])
def test_a_report_that_raises_is_one_line_and_its_traceback_a_file(
    report, trials, toys, capsys, monkeypatch
):
    toys.plan(*(dict(does="one", number=n) for n in range(trials)))
    toys.finish(dict(does="one", number=0))
    module = sweep_of(TOYS).module
    with monkeypatch.context() as patched:
        patched.setattr(module, "report", report)
        assert toys.report() == 1
    error = capsys.readouterr().err
    assert error.startswith("failed: no report: report() of tests/launching/toys.py r")
    assert error.count("\n") == 1
    assert f"KeyError: 'accuracy'; the traceback is in {toys.folder}" in error
    assert ("on the 1 of 2 trials that are finished" in error) == (trials == 2)
    told = toys.folder / "error.txt"
    assert "in raises" in told.read_text()
    assert not (toys.folder / "report.md").exists()
    assert toys.report() == 0
    assert not told.exists()


def test_trials_that_cannot_be_listed_are_one_line(toys, capsys, monkeypatch):
    module = sweep_of(TOYS).module
    monkeypatch.setattr(module, "sweep", raises)
    assert toys.run("--dry_run") == 2
    told = "error: sweep() of tests/launching/toys.py raised KeyError: 'accuracy'\n"
    assert capsys.readouterr().err == told
