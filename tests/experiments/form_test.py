"""Every experiment has the one form, and runs to a report, also after a stop."""

import csv
import pathlib
import sys

import pytest

from dynsparse.launching import UserError, main
from dynsparse.launching.experiment import SIZES, load_sweep
from tests.experiments import squares

NAMES = sorted(
    path.stem
    for path in pathlib.Path("experiments").glob("[!_]*.py")
    if path.stem not in ("digits", "enumerated", "readme")
)


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    """Squares, with every trial noted in a file."""
    monkeypatch.setattr(squares, "LOG", str(tmp_path / "asked"))
    return squares


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_states_its_claim_and_sweeps_plain_values(name):
    for size in SIZES:
        sweep = load_sweep(f"experiments/{name}.py:{size}")
        trials = sweep.trials()
        assert len({trial.name for trial in trials}) == len(trials)
    assert "refute" in sweep.claim
    assert callable(sweep.module.report)


@pytest.mark.system
def test_no_experiment_initialises_a_jax_backend_before_its_trials():
    import subprocess

    code = (
        "import sys\n"
        "from jax._src import xla_bridge\n"
        "from dynsparse.launching.experiment import SIZES, load_sweep\n"
        f"for name in {NAMES}:\n"
        "    [load_sweep(f'{name}:{size}').trials() for size in SIZES]\n"
        "    if xla_bridge.backends_are_initialized():\n"
        "        sys.exit(name)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True
    )
    assert (process.returncode, process.stderr) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_committed_results_come_from_this_form(name):
    results = pathlib.Path("experiments/results") / name
    full = [results] if (results / "report.md").exists() else []
    for folder in (results / "small", *full):
        text = (folder / "report.md").read_text().lower()
        claim = load_sweep(name).claim.lower()
        for part in claim.split("what would refute it:"):  # below the answer
            assert part.strip() in text
        assert (folder / "figure.png").exists()
        with (folder / "report.csv").open() as file:
            assert list(csv.DictReader(file))


def swept(out):
    """The exit status of a sweep of squares."""
    return main(["sweep", "tests/experiments/squares.py:full", f"--workdir={out}"])


@pytest.mark.system
def test_a_sweep_writes_table_figure_and_claim(experiment, tmp_path):
    assert swept(tmp_path) == 0
    report = (tmp_path / "report.md").read_text()
    for part in ("They are.", "| square |", "| 9 |", "A note.", "![squares]", "commit"):
        assert part in report
    assert (tmp_path / "figure.png").stat().st_size > 1000
    with (tmp_path / "report.csv").open() as file:
        assert [row["square"] for row in csv.DictReader(file)] == ["1.0", "4.0", "9.0"]


@pytest.mark.system
def test_a_stopped_experiment_goes_on_where_it_was(experiment, tmp_path):
    fails = tmp_path / "asked.fails"
    fails.touch()
    assert swept(tmp_path / "out") == 1
    fails.unlink()
    assert swept(tmp_path / "out") == 0
    assert (tmp_path / "asked").read_text().split() == ["1", "2", "3", "2", "2"]


def test_a_docstring_without_a_claim_is_named(experiment, monkeypatch):
    monkeypatch.setattr(experiment, "__doc__", "No claim.")
    with pytest.raises(UserError, match=r"experiments/squares\.py states no claim"):
        load_sweep("tests/experiments/squares.py")
