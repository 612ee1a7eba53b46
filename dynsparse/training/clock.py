"""How fast a run is and what memory it takes, in a file of its own.

What a clock says differs each time, and metrics.jsonl is the same bits for a run that
was killed and resumed.
"""

import pathlib
import resource
import sys
import time

import jax

from dynsparse._internal.atomic_write import as_json

FILE = "clock.jsonl"


class Clock:
    """Appends a row per log to clock.jsonl.

    Args:
        workdir: Folder of the run.
        step: That the run starts from.
    """

    def __init__(self, workdir: pathlib.Path, step: int):
        self._path = workdir / FILE
        self._begun = self._last = time.monotonic()
        self._step = step

    def look(self, step: int) -> dict[str, float]:
        """Writes and returns seconds since the start, steps per second and memory.

        Args:
            step: That was logged; the speed is that since the last log.
        """
        now = time.monotonic()
        values = dict(
            seconds=now - self._begun,
            steps_per_second=(step - self._step) / max(now - self._last, 1e-9),
            memory_mb=_peak_bytes() / 1e6,
        )
        self._last, self._step = now, step
        with self._path.open("a") as file:
            file.write(as_json(dict(step=step) | values) + "\n")
        return values


def _peak_bytes() -> int:
    """Most memory so far: of the first device where it knows, else of the process."""
    known = jax.local_devices()[0].memory_stats()
    if known and "peak_bytes_in_use" in known:
        return known["peak_bytes_in_use"]
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
