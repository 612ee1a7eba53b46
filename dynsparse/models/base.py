"""What models say about themselves beyond their call."""

from typing import NamedTuple


class PatchGrid(NamedTuple):
    """How the tokens of a model lie on its picture, row by row.

    Attributes:
        rows: Tokens from top to bottom.
        columns: Tokens from left to right.
        patch: Pixels per side of a token; those at the far edges may overhang.
    """

    rows: int
    columns: int
    patch: int
