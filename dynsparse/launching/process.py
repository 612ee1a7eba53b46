"""What the process of a run prints, and the memory that it keeps."""

import ctypes
import sys
from typing import Any

from absl import logging


def hush_libraries():
    """Make Orbax and its threads print nothing for the rest of this process.

    Orbax narrates every checkpoint; where one fails, its threads also print the error
    that it raises.
    """
    logging.set_verbosity(logging.FATAL)
    others = sys.unraisablehook
    if getattr(others, "__module__", None) == __name__:
        return

    def hook(raised: Any):
        if raised.object is not None or str(raised.exc_value) != "Event loop is closed":
            others(raised)

    sys.unraisablehook = hook


def keep_freed_memory() -> bool:
    """Make `malloc` keep freed memory for the rest of this process.

    XLA on the CPU allocates the temporary buffers of every call anew. The GNU C library
    returns large ones to the system at once, and each of their pages is cleared and
    mapped again at the next call: 41 of the 105 ms that a training step of
    configs/cluttered_digits.py took on one core. Call it before jax starts its threads.

    Returns:
        Whether the C library does so: others than GNU's are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no mallopt, or no such library
        return False
    # M_ARENA_MAX, since other arenas hold no block above 64 MB; M_MMAP_MAX; and
    # M_TRIM_THRESHOLD, the largest int.
    options = ((-8, 1), (-4, 0), (-1, 2**31 - 1))
    return all(mallopt(option, value) == 1 for option, value in options)
