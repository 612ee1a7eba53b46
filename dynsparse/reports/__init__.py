"""Tables and figures from the files that runs wrote; trains and measures nothing."""

from dynsparse.reports.comparison import BASELINES, compare_methods
from dynsparse.reports.figures import draw_panels
from dynsparse.reports.metric import Metric
from dynsparse.reports.report import (
    Report,
    common_origin,
    report_means,
    write_report,
)
from dynsparse.reports.run_figures import MOST_EXAMPLES, draw_curve, draw_kept
from dynsparse.reports.run_tables import compare_runs, run_summary
from dynsparse.reports.runs import (
    BUSY,
    FIELDS,
    PUT_BACK,
    is_busy,
    read_curve,
    read_result,
    read_run,
)
from dynsparse.reports.serving import draw_serving, read_serving, serving_table
from dynsparse.reports.stats import (
    Interval,
    answer,
    by_seed,
    grouped,
    paired_differences,
)
from dynsparse.reports.summarize import summarize
from dynsparse.reports.telling import other_settings, run_in_words, telling
from dynsparse.reports.tensorboard import Events, write_board
from dynsparse.reports.tradeoff import area_differences, read_points

__all__ = [
    "BASELINES",
    "BUSY",
    "FIELDS",
    "MOST_EXAMPLES",
    "PUT_BACK",
    "Events",
    "Interval",
    "Metric",
    "Report",
    "answer",
    "area_differences",
    "by_seed",
    "common_origin",
    "compare_methods",
    "compare_runs",
    "draw_curve",
    "draw_kept",
    "draw_serving",
    "draw_panels",
    "grouped",
    "is_busy",
    "other_settings",
    "paired_differences",
    "read_curve",
    "read_points",
    "read_result",
    "read_run",
    "read_serving",
    "report_means",
    "run_in_words",
    "run_summary",
    "serving_table",
    "summarize",
    "telling",
    "write_board",
    "write_report",
]
