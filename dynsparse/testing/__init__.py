"""Contracts that your own gate, model and task have to keep, as functions."""

from dynsparse.testing.gate import check_gate
from dynsparse.testing.model import check_model
from dynsparse.testing.task import check_task

__all__ = ["check_gate", "check_model", "check_task"]
