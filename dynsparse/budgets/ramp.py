"""How a training goes from everything open to its density or target."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse._internal.ranges import check

_FORMS = {
    "linear": lambda t: t,
    "cosine": lambda t: (1 - jnp.cos(jnp.pi * t)) / 2,
    "cubic": lambda t: 1 - (1 - t) ** 3,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class DensityRamp:
    """Starts with everything open and lets densities and targets fall to their own.

    "cubic" falls fast at first, while much can still be spared (Zhu and Gupta, 2017,
    arXiv:1710.01878); "cosine" is slow at both ends.

    Attributes:
        form: "linear", "cosine" or "cubic".
        start: Progress at which the fall begins, in [0, 1).
        until: Progress at which it ends, in (start, 1].

    Raises:
        ValueError: If a value is not accepted.
    """

    form: str
    start: float
    until: float

    def __post_init__(self):
        check(self, "form", self.form in _FORMS, f"one of {sorted(_FORMS)}")
        if not 0 <= self.start < self.until <= 1:
            raise ValueError(
                "density_ramp: needs 0 <= start < until <= 1, got "
                f"start={self.start}, until={self.until}."
            )

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
