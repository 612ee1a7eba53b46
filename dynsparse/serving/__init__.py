"""Serving to a budget: a compiled program per budget, chosen anew for each request."""

from dynsparse.serving.budgets import geometric_budgets
from dynsparse.serving.controller import Hysteresis
from dynsparse.serving.deadline import Deadline
from dynsparse.serving.ladder import Ladder
from dynsparse.serving.machine import CpuShare, FreeMemory
from dynsparse.serving.rung import Rung
from dynsparse.serving.runtime import Answer, Runtime
from dynsparse.serving.server import Refused, Server
from dynsparse.serving.signals import (
    Allowance,
    Lowest,
    Manual,
    Moment,
    Pinned,
    QueueLength,
    Signal,
)

__all__ = [
    "Allowance",
    "Answer",
    "CpuShare",
    "Deadline",
    "FreeMemory",
    "Hysteresis",
    "Ladder",
    "Lowest",
    "Manual",
    "Moment",
    "Pinned",
    "QueueLength",
    "Refused",
    "Rung",
    "Runtime",
    "Server",
    "Signal",
    "geometric_budgets",
]
