"""A finished run, and a sweep of toys, which do what their trials say."""

import csv
import json
import pathlib
import subprocess
import sys

import pytest

from dynsparse.launching import main
from tests.launching.commands import command, sweep_of

ROOT = pathlib.Path(__file__).parents[2]
TOYS = "sweep", "tests/launching/toys.py"
NAMED = f"{TOYS[1]}:small"  # as a sweep records it


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of a tiny run, which no test may change."""
    workdir = tmp_path_factory.mktemp("runs") / "digits"
    assert main(command(workdir)) == 0
    return workdir


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """Runs a sweep of toys in `folder`; the calls so far are in `calls()`."""

    class Toys:
        folder = tmp_path / "sweep[1]*"

        def plan(self, *trials):
            monkeypatch.setenv("TOYS", json.dumps(trials))

        def run(self, *flags):
            command = [*TOYS, f"--workdir={self.folder}", *flags]
            return main(command)

        def report(self):
            return main(["report", str(self.folder)])

        def start(self):
            return subprocess.Popen(
                [sys.executable, "launch.py", *TOYS, f"--workdir={self.folder}"],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )

        def finish(self, trial, **changes):
            """Leaves the result of a trial that was never run."""
            every = sweep_of(TOYS[1]).trials()
            (made,) = (found for found in every if found.asked == trial)
            (self.folder / made.name).mkdir(parents=True)
            (self.folder / "sweep.json").write_text(json.dumps(dict(sweep=NAMED)))
            where = dict(commit="abc", device="cpu", processor="x", cores=2)
            where |= dict(python="3", packages={}) | changes
            content = dict(rows=[dict(trial)], **where)
            (self.folder / made.name / "result.json").write_text(json.dumps(content))

        def calls(self):
            file = tmp_path / "calls"
            return file.read_text().splitlines() if file.exists() else []

        def rows(self):
            with (self.folder / "report.csv").open() as file:
                return list(csv.DictReader(file))

        def folder_of(self, does):
            return next(self.folder.glob(f"does={does.replace(' ', '_')}*"))

    monkeypatch.setenv("TOYS_NOTES", str(tmp_path))
    monkeypatch.chdir(ROOT)
    return Toys()
