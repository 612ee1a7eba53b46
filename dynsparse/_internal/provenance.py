"""Where a number comes from: what every result carries."""

import hashlib
import importlib.metadata
import os
import pathlib
import platform
import subprocess
import sys
from typing import Any

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def provenance() -> dict[str, Any]:
    """Returns commit, device, cores, Python and the versions of the packages.

    The device is None in a process that never imported jax: none was used.
    """
    jax = sys.modules.get("jax")
    return dict(
        commit=_commit(),
        device=None if jax is None else jax.devices()[0].device_kind,
        processor=platform.machine(),
        cores=os.cpu_count(),
        python=platform.python_version(),
        packages={name: importlib.metadata.version(name) for name in _PACKAGES},
    )


def _commit() -> str:
    """Returns the commit of the checkout, or "unknown".

    Where tracked files were changed, or there are untracked ones in Python, `+` and the
    start of a hash of all that follow.
    """
    root = pathlib.Path(__file__).parents[1]
    try:
        run = lambda *words: subprocess.run(
            ("git", "-C", str(root), *words), capture_output=True, check=True
        ).stdout.strip()
        new = run("ls-files", "-z", "--others", "--exclude-standard", "*.py")
        paths = [root / os.fsdecode(name) for name in new.split(b"\0") if name]
        changes = [run("diff", "HEAD"), *(path.read_bytes() for path in paths)]
        head = run("rev-parse", "HEAD").decode()
        if not any(changes):
            return head
        return f"{head}+{hashlib.sha256(b'-'.join(changes)).hexdigest()[:8]}"
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
