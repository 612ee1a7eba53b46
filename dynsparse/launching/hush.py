"""What libraries print of what they also raise."""

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

from absl import logging

_UNHEARD = "Event loop is closed"


def hush_libraries():
    """Has Orbax print nothing, for the rest of this process.

    It narrates every checkpoint. Where one fails, each of its threads prints what is
    raised to us in any case, and so do those of tensorstore that nobody waits for.
    """
    logging.set_verbosity(logging.FATAL)
    if not isinstance(sys.unraisablehook, _Hook):
        sys.unraisablehook = _Hook(sys.unraisablehook)


@dataclasses.dataclass(frozen=True)
class _Hook:
    """Passes on what Python cannot raise, but for what nobody waits for."""

    others: Callable[[Any], object]

    def __call__(self, raised: Any):
        if raised.object is not None or str(raised.exc_value) != _UNHEARD:
            self.others(raised)
