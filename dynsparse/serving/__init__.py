"""Running to a budget: one compiled program per rung, and a runtime that climbs them.

Lazy, so that a process that only makes load imports no jax.
"""

import importlib

_HOMES = {
    "Answer": "runtime",
    "CpuShare": "signals",
    "Deadline": "deadline",
    "FreeMemory": "signals",
    "Hysteresis": "controller",
    "Ladder": "ladder",
    "Lowest": "signals",
    "Manual": "signals",
    "PROFILES": "load",
    "Pinned": "signals",
    "QueueLength": "signals",
    "Refused": "server",
    "Rung": "rung",
    "Runtime": "runtime",
    "Server": "server",
    "Signal": "signals",
    "arrivals": "load",
    "serve_run": "show",
}


def __getattr__(name: str):
    if name in _HOMES:
        module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*globals(), *_HOMES]
