"""Colours and markers that survive colour blindness and a grey printer."""

import dataclasses
import itertools
from collections.abc import Sequence

COLOURS: tuple[str, ...] = (  # Okabe and Ito, 2008, without black and pale yellow
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#882255",  # these two of Tol, 2021
    "#999933",
)
_MARKERS = "os^vDPh"  # seven to eight colours: 56 strokes before one comes again
MOST_COLOURS = len(COLOURS)
PALE = "0.8"  # of what is one of many
_BASELINE_MARKERS = "<>dXp"
_GREYS = ("0.0", "0.45", "0.3", "0.6")
_DASHES = ((0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))


@dataclasses.dataclass(frozen=True)
class Stroke:
    """How a method is drawn.

    Attributes:
        color: Of line, marker and interval.
        marker: Differs between methods, for print in grey.
        dashes: Of the line, as matplotlib takes them.
    """

    color: str
    marker: str
    dashes: object


def strokes(
    methods: Sequence[str],
    baselines: Sequence[str],
    best: Sequence[str] | None = None,
) -> dict[str, Stroke]:
    """Returns a stroke per method: baselines grey and dashed, the others in colour.

    More colours than eight cannot be told apart: of more methods, the first eight of
    `best` have one, and the others are pale.

    Args:
        methods: In the order of the legend.
        baselines: What the others are compared with, in an order that gives each its
            look in every figure, whether it is among `methods` or not.
        best: The methods that are no baselines, the most telling first; in the order of
            `methods` where there is none.
    """
    greys = zip(
        itertools.cycle(_GREYS),
        itertools.cycle(_BASELINE_MARKERS),
        itertools.cycle(_DASHES),
        strict=False,
    )
    colours = zip(itertools.cycle(COLOURS), itertools.cycle(_MARKERS), strict=False)
    grey = {name: Stroke(*look) for name, look in zip(baselines, greys, strict=False)}
    others = (Stroke(*look, "solid") for look in colours)
    chosen = list(best or methods)
    chosen = [method for method in chosen if method not in grey][:MOST_COLOURS]
    pale = Stroke(PALE, ".", "solid")
    coloured = {m: next(others) for m in methods if m in chosen and m not in grey}
    return {m: grey.get(m) or coloured.get(m, pale) for m in methods}
