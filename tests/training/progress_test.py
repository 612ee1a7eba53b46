"""What a person sees of a run: the bar, and words where it takes a while."""

import io

import pytest
from rich.console import Console

from dynsparse.training import progress


@pytest.fixture
def shown(monkeypatch, request):
    console = Console(
        width=80, force_terminal=request.param, file=io.StringIO(), no_color=True
    )
    monkeypatch.setattr(progress, "_console", lambda: console)
    return console.file


@pytest.mark.parametrize("shown", [True], indirect=True)
def test_the_bar_keeps_its_words_in_80_columns(shown, monkeypatch):
    clock = iter([0.0, 1000.0, 1000.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock, 1000.0))
    with progress.ProgressReport(0, 13_000, "accuracy") as report:
        report.update(12_345, dict(loss=2.345, accuracy=0.987, density=0.5))
    text = shown.getvalue()
    assert "12345/13000" in text
    assert "loss 2.345  accuracy 0.987  density 0.50  12.3/s" in text
    assert "…" not in text


@pytest.mark.parametrize("shown", [True, False], indirect=True)
def test_what_takes_a_while_is_said_before_it_does(shown):
    with progress.ProgressReport(0, 10, "accuracy") as report:
        report.working("compiling the training step", aloud=True)
    assert "compiling the training step ..." in shown.getvalue()
    with progress.Phase("evaluating 6 densities", 6) as phase:
        assert "evaluating 6 densities" in shown.getvalue()
        phase.advance()
