"""What a user brings along: a gate, a model function, a dataset and a policy."""

import dataclasses

import jax
import numpy as np

from dynsparse import gates
from dynsparse.budgets import Policy
from dynsparse.data import Arrays, Splits
from dynsparse.models.conv_vit import ConvVit


class Banded(gates.Gate):
    """Opens what is above a level, with a slope of its own.

    Args:
        level: Score above which a unit opens.
        slope: Of the straight-through gradient.
        rngs: Unread.
    """

    count = "varying"

    def __init__(self, *, level: float, slope: float, rngs):
        super().__init__(rngs=rngs)
        self.level, self.slope = level, slope

    def __call__(self, scores):
        soft = jax.nn.sigmoid(self.slope * (scores - self.level))
        hard = (soft > 0.5).astype(scores.dtype)
        return gates.GateOutput((hard - jax.lax.stop_gradient(soft)) + soft, soft)


def narrow(*, halvings: int, image_shape, num_classes, rngs) -> ConvVit:
    """A transformer whose width follows one number, made by a function.

    Args:
        halvings: Of the width.
        image_shape: As of every model.
        num_classes: As of every model.
        rngs: As of every model.
    """
    width = 32 >> halvings
    return ConvVit(
        width=width,
        depth=1,
        num_heads=2,
        mlp_width=width,
        image_shape=image_shape,
        num_classes=num_classes,
        rngs=rngs,
    )


def halves(*, num: int, side: int) -> Splits:
    """Which half of an image is bright.

    Args:
        num: Images of each split.
        side: Pixels.
    """
    rng = np.random.default_rng(0)

    def split():
        labels = rng.integers(0, 2, num)
        images = rng.integers(0, 60, (num, side, side, 1), np.uint8)
        images[labels == 1, :, side // 2 :] += 150
        return Arrays(dict(image=images, label=labels))

    return Splits(
        train=split(), validation=split(), test=split(), facts=dict(num_classes=2)
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sleepy(Policy):
    """Penalties count from a step on.

    Attributes:
        slack: Factor of the penalties.
    """

    slack: float = 1.0

    def loss(self, state, usage, spent):
        added, state, told = super().loss(state, usage, spent)
        return self.slack * added, state, told
