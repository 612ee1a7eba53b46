"""A run that was asked to stop."""


class Interrupted(KeyboardInterrupt):
    """A run was asked to stop between two steps and has saved its state.

    It is handled where Ctrl-C is.

    Args:
        step: Where it stopped.
    """

    def __init__(self, step: int):
        super().__init__(f"stopped at step {step}")
        self.step = step
