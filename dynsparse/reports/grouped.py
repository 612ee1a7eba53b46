"""Several comparisons in one report: a heading, a part of the table, and panels."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from dynsparse.reports.comparison import BASELINES, compare_methods
from dynsparse.reports.markup import Row
from dynsparse.reports.report import Report
from dynsparse.reports.style import COLUMN

_HEIGHT = 5.2  # inches of a row of panels
_TITLE = 0.3  # inches of a name in a column


def compare_in_groups(
    rows: Sequence[Row],
    group: Callable[[Row], str | None],
    *,
    by: str,
    baselines: Mapping[str, str] = BASELINES,
    notes: Sequence[str] = (),
) -> Report:
    """Returns `compare_methods` of each group of methods, one below the other.

    Args:
        rows: As of `compare_methods`.
        group: The group of a row; None for a baseline that belongs to all of them.
        by: What the groups are, a column of the table.
        baselines: As of `compare_methods`.
        notes: Paragraphs of the experiment's own.

    Raises:
        ValueError: If no row belongs to a group.
    """
    names = list(dict.fromkeys(name for row in rows if (name := group(row))))
    if not names:
        raise ValueError("a comparison in groups needs a row that belongs to one.")
    parts = {
        name: compare_methods(
            [row for row in rows if group(row) in (name, None)], baselines=baselines
        )
        for name in names
    }
    label = lambda name, lines: [{by: name} | dict(line) for line in lines]
    shared = next(iter(parts.values()))
    said = [f"**{name}**\n\n" + "\n\n".join(part.notes) for name, part in parts.items()]
    return dataclasses.replace(
        shared,
        rows=[row for name, part in parts.items() for row in label(name, part.rows)],
        columns=[by, *shared.columns],
        table=[row for name, part in parts.items() for row in label(name, part.table)],
        measured=[
            row for name, part in parts.items() for row in label(name, part.measured)
        ],
        notes=[*notes, *said],
        figure=lambda figure: _draw(figure, parts),
        column=lambda figure: _draw_column(figure, parts),
    )


def _draw(figure, parts: Mapping[str, Report]):
    figure.set_size_inches(11, _HEIGHT * len(parts))
    for strip, part in _strips(figure, parts):
        assert part.figure is not None
        part.figure(strip)


def _draw_column(figure, parts: Mapping[str, Report]) -> float:
    heights = []
    for strip, part in _strips(figure, parts):
        assert part.column is not None
        heights.append(part.column(strip))
    height = len(parts) * (max(heights) + _TITLE)
    figure.set_size_inches(COLUMN, height)
    return height


def _strips(figure, parts: Mapping[str, Report]):
    """A part of the figure for each report, with its name."""
    strips = figure.subfigures(len(parts), 1, squeeze=False)[:, 0]
    for strip, (name, part) in zip(strips, parts.items(), strict=True):
        strip.suptitle(name, fontsize="large")
        yield strip, part
