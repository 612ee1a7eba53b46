"""Where the launcher prints."""

from rich.console import Console


def make_console() -> Console:
    """Returns a console that prints text as it is.

    Much of it is foreign: what a trial complained of may hold brackets, which rich
    would read as markup, and swallow or refuse.
    """
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
