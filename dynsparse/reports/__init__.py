"""Tables and figures from the files that runs wrote; imports no jax, runs nothing."""

from dynsparse.reports.curve import FIELDS, draw_curve, read_curve
from dynsparse.reports.kept import draw_kept
from dynsparse.reports.report import Report, Row, markdown_table, write_report
from dynsparse.reports.serving import draw_serving, read_serving, serving_table
from dynsparse.reports.table import curve_table, run_summary

__all__ = [
    "FIELDS",
    "Report",
    "Row",
    "curve_table",
    "draw_curve",
    "draw_kept",
    "draw_serving",
    "markdown_table",
    "read_curve",
    "read_serving",
    "run_summary",
    "serving_table",
    "write_report",
]
