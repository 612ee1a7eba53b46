"""Costs of functions, models and decisions: multiply-accumulates, time and memory."""

from dynsparse.costs.bill import Bill, LayerBill, bill, itemize, itemize_counts
from dynsparse.costs.budget import budget_of, largest_density
from dynsparse.costs.macs import count_macs
from dynsparse.costs.measure import (
    median_seconds,
    peak_bytes,
    ratio_quartiles,
    run_gates,
    seconds_by_turn,
)
from dynsparse.costs.prices import GatedPart, PriceCurve, Prices

__all__ = [
    "Bill",
    "GatedPart",
    "PriceCurve",
    "LayerBill",
    "Prices",
    "bill",
    "budget_of",
    "count_macs",
    "itemize",
    "itemize_counts",
    "largest_density",
    "median_seconds",
    "peak_bytes",
    "ratio_quartiles",
    "run_gates",
    "seconds_by_turn",
]
