"""Tables and figures from the files that runs wrote; imports no jax, runs nothing."""

from dynsparse.reports.curve import FIELDS, draw_curve, read_curve
from dynsparse.reports.kept import draw_kept
from dynsparse.reports.table import curve_table, run_summary

__all__ = [
    "FIELDS",
    "curve_table",
    "draw_curve",
    "draw_kept",
    "read_curve",
    "run_summary",
]
