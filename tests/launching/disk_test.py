"""What a disk refuses: one line, a status that is not 0, and nothing of before lost."""

import contextlib
import errno
import os
import resource
import subprocess
import sys
import threading
import types

import pytest

from dynsparse import training
from dynsparse._internal.atomic_write import as_disk_error, require_space
from dynsparse.launching import main, process
from dynsparse.launching.pool import FULL_DISK
from dynsparse.reports import Events
from tests.launching.commands import ROOT, command
from tests.launching.damage_test import content

REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


@contextlib.contextmanager
def largest_file(size):
    """The system writes no file that is larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("code", REFUSALS)
def test_a_disk_that_refuses_is_one_line(code, tmp_path, capsys, monkeypatch):
    def fail(experiments, workdirs):
        raise OSError(code, os.strerror(code), str(tmp_path / "metrics.jsonl"))

    monkeypatch.setattr(training, "train_together", fail)
    full = code in (errno.ENOSPC, errno.EDQUOT)
    assert main(command(tmp_path)) == (FULL_DISK if full else 1)
    error = capsys.readouterr().err
    assert error.startswith(f"failed: [Errno {code}] {os.strerror(code)}: ")
    assert "metrics.jsonl" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_a_library_makes_of_it_is_told_by_its_words(code, wrapped, tmp_path):
    error = ValueError(f"zarr3: cannot write: {os.strerror(code)} [path='x']")
    if wrapped:
        outer = RuntimeError("the merge failed")
        outer.__cause__ = error
        error = outer
    found = as_disk_error(error, tmp_path)
    assert isinstance(found, OSError)
    assert found.errno == code
    assert as_disk_error(ValueError("other"), tmp_path).args == ("other",)


def test_what_does_not_fit_is_refused_and_leaves_nothing(tmp_path):
    require_space(tmp_path, 2**16)
    with largest_file(2**16), pytest.raises(OSError, match="File too large"):
        require_space(tmp_path, 2**17)
    assert not list(tmp_path.iterdir())


def test_who_writes_events_learns_what_the_disk_refuses(tmp_path):
    from tensorboardX import summary

    threads = threading.active_count()
    with Events(tmp_path) as events:
        assert threading.active_count() == threads
        events.add(summary.text("a", "b" * 2**17))
        with largest_file(2**16), pytest.raises(OSError, match="File too large"):
            events.flush()


@pytest.mark.parametrize(("told", "heard"), [("Event loop is closed", 0), ("other", 1)])
def test_what_nobody_waits_for_is_not_printed(told, heard, monkeypatch):
    others = []
    monkeypatch.setattr(sys, "unraisablehook", others.append)
    for _ in range(2):
        process.hush_libraries()
    raised = types.SimpleNamespace(object=None, exc_value=RuntimeError(told))
    sys.unraisablehook(raised)
    assert len(others) == heard


@pytest.fixture
def small(tmp_path):
    """Mounts a file system of a given size, where the system lets us."""
    place = tmp_path / "small"
    place.mkdir()

    def mount(size, options="mount"):
        words = ("-t", "tmpfs") if options == "mount" else ()
        made = ("mount", *words, "-o", f"{options},size={size}".removeprefix("mount,"))
        if subprocess.run((*made, "tmpfs", place), capture_output=True).returncode:
            pytest.skip("cannot mount")
        return place

    yield mount
    subprocess.run(("umount", "-l", place), capture_output=True)


@pytest.mark.system
@pytest.mark.full
@pytest.mark.parametrize("size", ["16k", "100k", "300k", "450k"])
def test_a_run_on_a_disk_that_fills_goes_on_where_there_is_space(size, small):
    place = small(size)
    words = command(place / "run", "--config.train.checkpoint_every=1")
    run = lambda: subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True
    )
    first = run()
    assert first.returncode == FULL_DISK
    assert "Traceback" not in first.stderr + first.stdout
    assert first.stderr.startswith("failed: [Errno 28] No space left on device")
    assert first.stderr.count("\n") == 1
    before = content(place / "run")
    small("60m", "remount")
    assert before == content(place / "run")
    assert run().returncode == 0
