"""A person's mistake: one line, exit status 2. What code of theirs raises: status 1."""

MISTAKE = 2


class UserError(Exception):
    """Something that the caller of launch.py can mend; its text is one line."""

    def __init__(self, text: object):
        super().__init__(" ".join(str(text).split()))
