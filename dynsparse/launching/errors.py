"""A person's mistake: one line, exit status 2. What code of theirs raises: status 1."""

MISTAKE = 2


class UserError(Exception):
    """Something that the caller of launch.py can mend; its text is one line."""

    def __init__(self, text: object):
        super().__init__(" ".join(str(text).split()))


def is_too_large(error: Exception) -> bool:
    """Whether an error says that memory did not suffice, of Python or of XLA."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def too_large(error: Exception) -> str:
    """The same in one line."""
    told = " ".join(str(error).split())[:200]
    return f"out of memory: lower model, train or evaluation sizes ({told})"
