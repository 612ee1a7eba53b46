"""Teaches low densities what the full one answers."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from dynsparse._internal.ranges import Checked, Fraction, NotNegative, Positive

Distance = Callable[..., Float[Array, "batch"]]


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
        outputs: PyTree,
        features: Sequence[Float[Array, "passes batch _"]] = (),
        distance: Distance | None = None,
    ) -> Float[Array, "passes batch"]:
        """Returns the losses, those of the students mixed with their distance.

        Args:
            losses: From the targets.
            outputs: Of the model, in float32, each [passes, batch, ...]; the first pass
                is the teacher.
            features: What each head read.
            distance: Of a student's outputs from the teacher's at a temperature,
                [batch]; that of `softmax_kl` where it is None.
        """
        teacher = jax.lax.stop_gradient(jax.tree.map(lambda x: x[0], outputs))
        apart = functools.partial(
            distance or softmax_kl, teacher, temperature=self.temperature
        )
        distances = jax.vmap(apart)(jax.tree.map(lambda x: x[1:], outputs))
        students = (1 - self.weight) * losses[1:] + self.weight * distances
        if self.features:
            students = students + self.features * sum(map(_hint, features))
        return jnp.concatenate([losses[:1], students])


def softmax_kl(
    teacher: Float[Array, "batch *axes classes"],
    student: Float[Array, "batch *axes classes"],
    temperature: float,
) -> Float[Array, "batch"]:
    r"""Returns $T^2\,\mathrm{KL}(p_T \| q_T)$ of two softmaxes, mean over the axes.

    Args:
        teacher: Logits of p.
        student: Logits of q.
        temperature: $T > 0$.

    >>> logits = jnp.array([[0.0, jnp.log(3.0)]])
    >>> float(budgets.softmax_kl(logits, jnp.zeros((1, 2)), 1.0)[0].round(4))
    0.1308
    """
    p, q = (jax.nn.log_softmax(x / temperature) for x in (teacher, student))
    distance = temperature**2 * (jnp.exp(p) * (p - q)).sum(-1)
    return distance.mean(tuple(range(1, distance.ndim)))


def _hint(features: Float[Array, "passes batch width"]) -> Array:
    """Mean squared distance from the first pass, [passes - 1, batch], relative."""
    features = features.astype(jnp.float32)
    teacher = jax.lax.stop_gradient(features[:1])
    scale = jnp.maximum(jnp.square(teacher).mean(), jnp.finfo(jnp.float32).tiny)
    return jnp.square(features[1:] - teacher).mean(-1) / scale
