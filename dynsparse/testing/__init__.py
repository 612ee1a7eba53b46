"""Contracts that your own gate, model and dataset have to keep, as functions."""

from dynsparse.testing.dataset import check_dataset
from dynsparse.testing.gate import check_gate
from dynsparse.testing.model import check_model

__all__ = ["check_dataset", "check_gate", "check_model"]
