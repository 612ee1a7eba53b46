"""Freed memory stays with the process."""

import platform
import subprocess
import sys

import pytest

_SCRIPT = """
import resource, sys
if sys.argv[1] == "kept":
    from dynsparse.launching.process import keep_freed_memory
    assert keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
block = b"x" * (48 << 20)
before = faults()
for _ in range(10):
    del block
    block = b"x" * (48 << 20)
print(faults() - before)
"""


@pytest.mark.system
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of the GNU C library")
@pytest.mark.parametrize(("which", "few"), [("kept", True), ("given_back", False)])
def test_blocks_are_mapped_once(which, few):
    """A block of 48 MB that comes back has its pages still."""
    command = (sys.executable, "-c", _SCRIPT, which)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (int(done.stdout) < 100) == few
