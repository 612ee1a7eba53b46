"""What is tried by default of many cases alike; the others are marked `full`."""

import pytest


def unless(usual):
    """Marks of a case: none where it is a usual one."""
    return () if usual else pytest.mark.full


def sampled(cases, usual, by=lambda case: case):
    """The cases, marked unless `usual` holds what `by` makes of them."""
    return [pytest.param(case, marks=unless(by(case) in usual)) for case in cases]
