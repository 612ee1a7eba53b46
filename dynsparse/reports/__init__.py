"""Tables and figures from the files that runs wrote; imports no jax, runs nothing."""

from dynsparse.reports.areas import area_differences, areas, areas_by_method
from dynsparse.reports.board import write_board
from dynsparse.reports.chance import (
    Difference,
    Interval,
    decide,
    holm,
    mean_interval,
    p_in_words,
    paired_difference,
    paired_differences,
)
from dynsparse.reports.compare import compare_runs
from dynsparse.reports.comparison import BASELINES, compare_methods
from dynsparse.reports.curve import (
    BUSY,
    FIELDS,
    busy_among,
    draw_curve,
    is_busy,
    read_curve,
)
from dynsparse.reports.events import Events
from dynsparse.reports.grouped import compare_in_groups
from dynsparse.reports.kept import MOST_IMAGES, draw_kept
from dynsparse.reports.loose import summarize
from dynsparse.reports.markup import Row, latex_table, markdown_table, with_half
from dynsparse.reports.origin import common_origin
from dynsparse.reports.over_seeds import (
    by_seed,
    means_in_words,
    over_seeds,
    report_means,
)
from dynsparse.reports.palette import strokes
from dynsparse.reports.points import read_points
from dynsparse.reports.records import PUT_BACK, read_result, read_run
from dynsparse.reports.report import Report, write_report
from dynsparse.reports.rows import draw_rows
from dynsparse.reports.serving import draw_serving, read_serving, serving_table
from dynsparse.reports.style import ORANGE, PAGE
from dynsparse.reports.sweep_folder import read_sweep
from dynsparse.reports.table import curve_table, run_summary
from dynsparse.reports.telling import (
    flattened,
    other_settings,
    run_in_words,
    telling,
)
from dynsparse.reports.tradeoff import area, common_range, pareto_front

__all__ = [
    "BASELINES",
    "FIELDS",
    "PUT_BACK",
    "Difference",
    "Events",
    "Interval",
    "Report",
    "Row",
    "area",
    "area_differences",
    "areas",
    "areas_by_method",
    "busy_among",
    "by_seed",
    "common_origin",
    "common_range",
    "compare_in_groups",
    "compare_methods",
    "compare_runs",
    "curve_table",
    "decide",
    "draw_curve",
    "draw_kept",
    "draw_rows",
    "draw_serving",
    "flattened",
    "holm",
    "latex_table",
    "markdown_table",
    "mean_interval",
    "means_in_words",
    "over_seeds",
    "p_in_words",
    "paired_difference",
    "paired_differences",
    "pareto_front",
    "read_curve",
    "read_points",
    "read_result",
    "read_run",
    "read_serving",
    "read_sweep",
    "report_means",
    "run_summary",
    "serving_table",
    "strokes",
    "with_half",
    "write_board",
    "BUSY",
    "MOST_IMAGES",
    "ORANGE",
    "PAGE",
    "is_busy",
    "other_settings",
    "run_in_words",
    "telling",
    "summarize",
    "write_report",
]
