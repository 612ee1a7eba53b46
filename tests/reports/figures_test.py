"""Panels from rows: what is drawn where."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from dynsparse.reports import draw_panels
from dynsparse.reports.stats import mean_interval

SEEDS = [0.4, 0.5, 0.9]
VALUES = [0.5, (0.4, 0.5, 0.8), mean_interval(SEEDS)]


def draw(rows, **columns):
    return draw_panels(Figure(layout="constrained"), rows, hue="gate", **columns)


@pytest.mark.parametrize(("number", "shape"), [(2, (1, 2)), (7, (2, 4))])
def test_every_part_has_a_panel_and_no_panel_is_empty(number, shape):
    rows = [dict(gate="a", part=f"{i}", x=i, y=i) for i in range(number)]
    panels = draw(rows, x="x", y="y", panel="part")
    assert [axes.get_title() for axes in panels] == [row["part"] for row in rows]
    grid = panels[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == shape
    shown = [axes for axes in panels[0].figure.axes if axes.get_visible()]
    assert shown == panels


def test_columns_are_rows_of_panels_and_parts_their_columns():
    rows = [dict(gate="a", part=part, x=1, y=2, z=3) for part in ("this", "that")]
    panels = draw(rows, x="x", y=("y", "z"), panel="part")
    said = [(axes.get_ylabel(), axes.get_title()) for axes in panels]
    assert said == [("y", "this"), ("y", "that"), ("z", "this"), ("z", "that")]


@pytest.mark.parametrize("value", VALUES, ids=["number", "triple", "interval"])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_value_is_a_marker_with_a_bar_to_both_ends(value, axis):
    row = dict(gate="a", word="w", value=value)
    columns = dict(x="value", y="word") if axis == 0 else dict(x="word", y="value")
    (axes,) = draw([row], **columns)
    (drawn,) = axes.containers
    if isinstance(value, float):
        assert not drawn.has_xerr
        assert not drawn.has_yerr
        return
    half = 4.302653 * np.std(SEEDS, ddof=1) / np.sqrt(3)
    ends = (0.4, 0.8) if isinstance(value, tuple) else (0.6 - half, 0.6 + half)
    (bar,) = drawn.lines[2][0].get_segments()
    np.testing.assert_allclose(bar[:, axis], ends, rtol=1e-6)


def test_lines_over_words_stand_side_by_side():
    rows = [
        dict(gate=gate, at=at, y=1.0) for gate in ("a", "b") for at in ("this", "that")
    ]
    (axes,) = draw(rows, x="at", y="y")
    left, right = (line.lines[0].get_xdata() for line in axes.containers)
    np.testing.assert_allclose(left + right, [0, 2], atol=1e-12)
    assert (left < right).all()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["this", "that"]
