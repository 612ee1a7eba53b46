"""What is shown while a sweep runs."""

import io
import math
import re

import pytest
from rich.console import Console

from dynsparse.launching.live_table import LiveTable


@pytest.mark.parametrize("at_once", [1, 2, 8])
def test_the_time_left_is_what_waves_of_trials_take_that_finish(at_once):
    clock = [0.0]
    console = Console(quiet=True, get_time=lambda: clock[0])
    shown = LiveTable(console, "abcdef", {"f"}, at_once=at_once)
    assert shown.left() is None
    shown.started("a")
    shown.started("b")
    clock[0] = 2.0
    shown.ended("b", "failed", "a mistake")
    clock[0] = 90.0
    shown.started("c")
    clock[0] = 100.0
    shown.ended("a", "finished")
    shown.ended("c", "died", "killed")
    assert shown.left() == pytest.approx(100.0 * math.ceil(3 / at_once))


def test_a_terminal_has_a_table_of_what_runs_and_what_failed():
    names = ("one", "two", "three", "four")
    console = Console(force_terminal=True, width=100, file=io.StringIO(), no_color=True)
    with LiveTable(console, names, {"one"}, at_once=2) as shown:
        shown.started("two")
        shown.started("three")
        shown.ended("three", "finished")
        shown.started("four")
        shown.ended("four", "failed", "it [would] not")
        assert shown.left() is not None
    text = console.file.getvalue().rpartition("two ")[2]
    for words in ("^.*running", "three +finished", r"four +failed .* it \[would\]"):
        assert re.search(words, text)
    assert "one" not in text
    assert "2 of 4 finished, 1 failed" in text
