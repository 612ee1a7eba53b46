"""What a word that is not accepted was meant to be."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, accepted: Iterable[str]) -> str:
    """The end of an error: "; did you mean soft_topk?", or nothing.

    Args:
        word: That is not accepted.
        accepted: The words that are.
    """
    close = difflib.get_close_matches(word, list(accepted), n=1)
    return f"; did you mean {close[0]}?" if close else ""
