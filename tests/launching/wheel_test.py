"""An installed wheel, in an empty folder and without the checkout."""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

from tests.training import tiny

pytestmark = pytest.mark.system
ROOT = pathlib.Path(__file__).parents[2]
TREES = ("dynsparse", "configs", "experiments")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Made from a copy of the sources, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__", "results")
    for name in TREES:
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    words = (sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "-q", "-w")
    subprocess.run((*words, str(folder)), cwd=folder / "source", check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_only_top_level_name_is_the_library(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"dynsparse"}
    for name in ("py.typed", "configs/methods.py", "experiments/any_budget.py"):
        assert f"dynsparse/{name}" in names


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The command of a new environment that sees the dependencies of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    words = (python, "-m", "pip", "install", "--no-deps", "-q", wheel)
    subprocess.run(words, check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin/dynsparse"


def run(command, folder, *words, **environment):
    known = {key: os.environ[key] for key in os.environ if key != "PYTHONPATH"}
    return subprocess.run(
        [command, *words],
        cwd=folder,
        env={**known, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", **environment},
        capture_output=True,
        text=True,
    )


def test_one_command_in_an_empty_folder_trains_and_draws(installed, tmp_path):
    done = run(installed, tmp_path, "run", "--config=cluttered_digits", *tiny.FLAGS)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "curve.png").stat().st_size > 10_000
    words = done.stdout.partition("resume   ")[2].splitlines()[0].split()
    assert words[:2] == ["dynsparse", "run"]


SWEEP = '''"""Is it swept?

Claim: it is. What would refute it: an error.
"""

from dynsparse.reports import Report


def sweep(add, size):
    add(number=1)


def measure(*, number):
    return dict(number=number)


def report(rows):
    return Report(rows, ["number"])
'''


def test_a_sweep_needs_no_checkout(installed, tmp_path):
    (tmp_path / "mine.py").write_text(SWEEP)
    done = run(installed, tmp_path, "sweep", "mine.py", "--workdir=out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out/report.md").exists()
    listed = run(installed, tmp_path, "sweep", "any_budget", "--dry_run")
    assert listed.returncode == 0, listed.stderr
    assert "trials of experiments/any_budget.py:small" in listed.stdout


@pytest.mark.parametrize(
    ("absent", "words", "extra"),
    [
        ("rich", ["--version"], "train"),
        ("orbax", ["run", "--config=cluttered_digits"], "train"),
    ],
)
def test_a_missing_extra_is_named_in_one_line(
    absent, words, extra, installed, tmp_path
):
    code = f'raise ModuleNotFoundError("No module named {absent}", name="{absent}")'
    (tmp_path / absent).mkdir()
    (tmp_path / absent / "__init__.py").write_text(code)
    done = run(installed, tmp_path, *words, PYTHONPATH=str(tmp_path))
    assert done.returncode in (1, 2)
    (line,) = done.stderr.splitlines()
    assert f'{absent} is not installed: pip install "dynsparse[{extra}]"' in line
