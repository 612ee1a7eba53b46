"""Differentiable masks and static-shape skipping: arrays in, arrays out."""

from dynsparse.ops.compact import (
    capacities,
    capacity_switch,
    gather,
    open_indices,
    scatter,
)
from dynsparse.ops.hard import hard_topk_mask, straight_through
from dynsparse.ops.threshold import soft_topk_mask

__all__ = [
    "capacities",
    "capacity_switch",
    "gather",
    "hard_topk_mask",
    "open_indices",
    "scatter",
    "soft_topk_mask",
    "straight_through",
]
