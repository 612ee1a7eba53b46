"""A run that was asked to stop."""


class Interrupted(Exception):
    """A run was asked to stop between two steps and has saved its state.

    Args:
        step: Where it stopped.
    """

    def __init__(self, step: int):
        super().__init__(f"stopped at step {step}")
        self.step = step
