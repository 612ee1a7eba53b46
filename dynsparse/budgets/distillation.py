"""Teaches low densities what the full one answers."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse._internal.ranges import Checked, Fraction, NotNegative, Positive


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distillation(Checked):
    r"""Part of the loss of each pass but the first: its distance from the first.

    $T^2\,\mathrm{KL}(p_T^{(1)} \| p_T^{(i)})$ of the softmax at temperature $T$
    (Hinton, Vinyals and Dean, 2015, arXiv:1503.02531); the first pass has the largest
    density and is not moved by it (in-place distillation: Yu and Huang, 2019,
    arXiv:1903.05134, with `weight` 1). And of what the heads read, the squared distance
    over the mean square of the teacher's (hints: Romero et al., 2014, arXiv:1412.6550).

    >>> distil = budgets.Distillation(weight=1.0, temperature=1.0, features=0.0)
    >>> logits = jnp.zeros((2, 1, 3))  # a student that answers as its teacher does
    >>> np.asarray(distil(jnp.ones((2, 1)), logits)).tolist()
    [[1.0], [0.0]]

    Attributes:
        weight: Of the distance of the answers, in [0, 1]; the labels keep the rest.
        temperature: $T > 0$.
        features: Weight of the distance of the features, >= 0.

    Raises:
        ValueError: If a value is out of range.
    """

    weight: Fraction
    temperature: Positive
    features: NotNegative

    def __call__(
        self,
        losses: Float[Array, "passes batch"],
        logits: Float[Array, "passes batch classes"],
        features: Sequence[Float[Array, "passes batch _"]] = (),
    ) -> Float[Array, "passes batch"]:
        """Returns the losses, those of the students mixed with their distance.

        Args:
            losses: From the labels.
            logits: In float32; the first pass is the teacher.
            features: What each head read.
        """
        log_probs = jax.nn.log_softmax(logits / self.temperature)
        teacher = jax.lax.stop_gradient(log_probs[:1])
        distance = (jnp.exp(teacher) * (teacher - log_probs[1:])).sum(-1)
        students = (1 - self.weight) * losses[1:] + (
            self.weight * self.temperature**2 * distance
        )
        if self.features:
            students = students + self.features * sum(map(_hint, features))
        return jnp.concatenate([losses[:1], students])


def _hint(features: Float[Array, "passes batch width"]) -> Array:
    """Mean squared distance from the first pass, [passes - 1, batch], relative."""
    features = features.astype(jnp.float32)
    teacher = jax.lax.stop_gradient(features[:1])
    scale = jnp.maximum(jnp.square(teacher).mean(), jnp.finfo(jnp.float32).tiny)
    return jnp.square(features[1:] - teacher).mean(-1) / scale
