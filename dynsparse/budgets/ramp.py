"""How a training goes from everything open to its density or target."""

import dataclasses
from typing import Annotated

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse._internal.ranges import Accepts, BelowOne, Checked, PositiveFraction

_FORMS = {
    "linear": lambda t: t,
    "cosine": lambda t: (1 - jnp.cos(jnp.pi * t)) / 2,
    "cubic": lambda t: 1 - (1 - t) ** 3,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ramp(Checked):
    """Starts with everything open and lets densities and targets fall to their own.

    "cubic" falls fast at first, while much can still be spared (Zhu and Gupta, 2017,
    arXiv:1710.01878); "cosine" is slow at both ends.

    >>> ramp = budgets.Ramp(form="linear", start=0.0, until=0.5)
    >>> [float(ramp(0.5, progress)) for progress in (0.0, 0.25, 1.0)]
    [1.0, 0.75, 0.5]

    Attributes:
        form: "linear", "cosine" or "cubic".
        start: Progress at which the fall begins, in [0, 1).
        until: Progress at which it ends, in (start, 1].

    Raises:
        ValueError: If a value is not accepted.
    """

    form: Annotated[str, Accepts(_FORMS.__contains__, f"one of {sorted(_FORMS)}")]
    start: BelowOne
    until: PositiveFraction

    def __post_init__(self):
        super().__post_init__()
        self.require("until", self.start < self.until, f"above start={self.start}")

    def __call__(
        self, value: float | Float[Array, "*axes"], progress: Float[Array, ""] | float
    ) -> Float[Array, "*axes"]:
        """Returns the density or target of now: 1 at first, in the end `value`.

        Args:
            value: In [0, 1].
            progress: Share of the training steps that are done, in [0, 1].
        """
        elapsed = (progress - self.start) / (self.until - self.start)
        return 1 - (1 - value) * _FORMS[self.form](jnp.clip(elapsed, 0.0, 1.0))
