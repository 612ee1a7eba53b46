"""Do trials do what they are told?

Claim: they do. What would refute it: one that does not.

An experiment to test sweeps with: the environment says what is tried, and each call of
`measure` notes itself in a file.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from dynsparse.reports import Report


def sweep(add, size):
    """What the variable TOYS lists."""
    for trial in json.loads(os.environ["TOYS"]):
        add(**trial)


def measure(*, does: str, number: int = 0) -> dict:
    """Does it, and notes itself in the folder TOYS_NOTES."""
    notes = pathlib.Path(os.environ["TOYS_NOTES"])
    with (notes / "calls").open("a") as file:
        file.write(f"{does} {number}\n")
    first = (notes / "calls").read_text().split("\n").count(f"{does} {number}") == 1
    match does:
        case "raises":
            raise RuntimeError(
                f"number {number}\nis not to its liking [/data/x] [batch, 3]"
            )
        case "makes a mistake":
            from dynsparse.launching import UserError

            raise UserError("data: there is no nowhere.npz")
        case "raises in a program":
            import jax

            jax.jit(lambda: jax.numpy.zeros(number) + jax.numpy.zeros(number + 1))()
        case "dies once" if first:
            os.kill(os.getpid(), signal.SIGKILL)
        case "hangs once" if first:
            child = subprocess.Popen((sys.executable, "-c", "while True: pass"))
            (notes / "child").write_text(str(child.pid))
            time.sleep(1000)
        case "fills the disk":
            with open("/dev/full", "w") as full:
                full.write("more than it takes")
        case "sleeps":
            (notes / "pid").write_text(str(os.getpid()))
            time.sleep(1000 if first else 0)
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    return dict(does=does, number=number, threads=threads)


def report(rows):
    """A row per trial that did it."""
    return Report(rows, list(rows[0]), [f"{len(rows)} did."])
