"""Teaches low densities what the full one answers."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distillation:
    r"""Part of the loss of each pass but the first: its distance from the first.

    $T^2\,\mathrm{KL}(p_T^{(1)} \| p_T^{(i)})$ of the softmax at temperature $T$
    (Hinton, Vinyals and Dean, 2015, arXiv:1503.02531); the first pass has the largest
    density and is not moved by it (in-place distillation: Yu and Huang, 2019,
    arXiv:1903.05134, with `weight` 1).

    Attributes:
        weight: Of the distance, in [0, 1]; the labels keep the rest.
        temperature: $T > 0$.

    Raises:
        ValueError: If a value is out of range.
    """

    weight: float
    temperature: float

    def __post_init__(self):
        if not 0 <= self.weight <= 1:
            raise ValueError(
                f"distillation: weight must be in [0, 1], got {self.weight}."
            )
        if not self.temperature > 0:
            raise ValueError(
                f"distillation: temperature must be > 0, got {self.temperature}."
            )

    def __call__(
        self,
        losses: Float[Array, "passes batch"],
        logits: Float[Array, "passes batch classes"],
    ) -> Float[Array, "passes batch"]:
        """Returns the losses, those of the students mixed with their distance.

        Args:
            losses: From the labels.
            logits: In float32; the first pass is the teacher.
        """
        log_probs = jax.nn.log_softmax(logits / self.temperature)
        teacher = jax.lax.stop_gradient(log_probs[:1])
        distance = (jnp.exp(teacher) * (teacher - log_probs[1:])).sum(-1)
        students = (1 - self.weight) * losses[1:] + (
            self.weight * self.temperature**2 * distance
        )
        return jnp.concatenate([losses[:1], students])
