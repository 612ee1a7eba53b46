"""Whatever is mistaken in a config: one line and status 2, or a finite run."""

import contextlib
import json
import math
import signal
import subprocess
import sys

import pytest

from dynsparse.launching import main
from tests.launching.commands import ROOT
from tests.launching.mutations import mutation

pytestmark = pytest.mark.usefixtures("as_users_call")

_SECONDS = 600  # a tiny run takes a few
SMOKE = (1, 8, 31, 44, 55)  # each refused, by another part
ALL = range(500)
COMMANDS = ALL[::20]  # 25, through the real command line


def full(numbers):
    return [pytest.param(number, marks=pytest.mark.full) for number in numbers]


@contextlib.contextmanager
def no_longer_than(seconds):
    """Raises where something hangs."""

    def ring(*_):
        raise TimeoutError(f"hangs for {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def check_outcome(status, error, workdir):
    """A refusal in one line that leaves nothing, a loss that is named, or a run."""
    if status == 0:
        numbers = dict(parse_constant=lambda name: pytest.fail(f"{name} in the result"))
        result = json.loads((workdir / "result.json").read_text(), **numbers)
        assert all(math.isfinite(point["accuracy"]) for point in result["curve"])
        return
    assert error.count("\n") == 1
    assert len(error) < 900
    if status == 1:  # the rate of learning that was asked for, for one, is too high
        assert error.startswith("failed: the ")
        return
    assert status == 2
    assert error.startswith("error: ")
    assert not workdir.exists()


def words(number, workdir):
    config, flags = mutation(number)
    return ["run", f"--config={config}", *flags, f"--workdir={workdir}"]


@pytest.mark.parametrize("number", [*SMOKE, *full(n for n in ALL if n not in SMOKE)])
def test_a_mutated_config_is_refused_in_a_line_or_runs(number, tmp_path, capsys):
    workdir = tmp_path / "run"
    with no_longer_than(_SECONDS):
        status = main(words(number, workdir))
    check_outcome(status, capsys.readouterr().err, workdir)


@pytest.mark.system
@pytest.mark.parametrize("number", full(COMMANDS))
def test_the_real_command_says_the_same(number, tmp_path):
    workdir = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *words(number, workdir)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    assert "Traceback" not in done.stdout + done.stderr
    check_outcome(done.returncode, done.stderr, workdir)
