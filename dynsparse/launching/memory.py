"""Memory that a step gives back and the next one asks for again, kept in between.

XLA on the CPU takes the temporary buffers of every call from `malloc` and frees them
after it. The GNU C library returns large ones to the system at once, which clears and
maps each of their pages again for the next call: of a training step of configs/
cluttered_digits.py that took 105 ms on one core, 41 ms went there.
"""

import ctypes

# Of mallopt in <malloc.h>. One arena, since others hold no block above 64 MB; no block
# outside of it; and nothing given back below what an int can say.
_ARENA_MAX, _MMAP_MAX, _TRIM_THRESHOLD = -8, -4, -1
_LARGEST = 2**31 - 1  # bytes


def keep_freed_memory() -> bool:
    """Has `malloc` keep what is freed, for the rest of this process.

    Call it before jax starts its threads. The most memory that was ever in use stays
    with the process until it ends.

    Returns:
        Whether the C library does so; others than that of GNU are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no mallopt, or no such library
        return False
    asked = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, _LARGEST))
    return all(mallopt(option, value) == 1 for option, value in asked)
