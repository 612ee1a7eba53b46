"""Every experiment has the one form, and runs alone to a report, also after a stop."""

import csv
import importlib
import json
import pathlib
import sys

import pytest

from experiments import alone
from tests.experiments import squares

NAMES = sorted(
    path.stem
    for path in pathlib.Path("experiments").glob("[!_]*.py")
    if path.stem not in ("alone", "readme", "trained")
)


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    """Squares, with every trial noted in a file."""
    monkeypatch.setattr(squares, "LOG", str(tmp_path / "asked"))
    return squares


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_states_its_claim_and_sweeps_plain_values(name):
    module = importlib.import_module(f"experiments.{name}")
    assert "refute" in alone.claim(module)
    trials = alone.trials_of(module)
    assert trials
    assert json.loads(json.dumps(trials)) == trials
    assert callable(module.measure)
    assert callable(module.report)


@pytest.mark.parametrize("name", NAMES)
def test_committed_results_come_from_this_form(name):
    folder = pathlib.Path("experiments/results") / name
    text = (folder / "report.md").read_text()
    assert alone.claim(importlib.import_module(f"experiments.{name}")) in text
    with (folder / "report.csv").open() as file:
        assert list(csv.DictReader(file))


def test_running_alone_writes_table_figure_and_claim(experiment, tmp_path):
    alone.run_alone(experiment, ["--out", str(tmp_path)])
    report = (tmp_path / "report.md").read_text()
    for part in ("they are.", "| square |", "| 9 |", "A note.", "![squares]", "commit"):
        assert part in report
    assert (tmp_path / "figure.png").stat().st_size > 1000
    with (tmp_path / "report.csv").open() as file:
        assert [row["square"] for row in csv.DictReader(file)] == ["1.0", "4.0", "9.0"]


def test_a_stopped_experiment_goes_on_where_it_was(experiment, tmp_path):
    fails = tmp_path / "asked.fails"
    fails.touch()
    with pytest.raises(KeyboardInterrupt):
        alone.run_alone(experiment, ["--out", str(tmp_path)])
    fails.unlink()
    alone.run_alone(experiment, ["--out", str(tmp_path)])
    assert (tmp_path / "asked").read_text().split() == ["1", "2", "2", "3"]
    assert not (tmp_path / "rows.jsonl").exists()


def test_a_docstring_without_a_claim_is_named(experiment, monkeypatch):
    monkeypatch.setattr(experiment, "__doc__", "No claim.")
    with pytest.raises(ValueError, match=r"experiments\.squares states no claim"):
        alone.claim(experiment)


def test_no_experiment_imports_jax_before_it_measures():
    import subprocess

    imports = ", ".join(f"experiments.{name}" for name in [*NAMES, "alone"])
    code = f"import sys, {imports}; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
