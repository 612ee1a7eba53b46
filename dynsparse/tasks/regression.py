"""A number from features, or from an image."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from dynsparse.data import Source, Splits, read_batch
from dynsparse.tasks.base import Batch, Mean, Task, weights
from dynsparse.tasks.images import Pixels

_AT_ONCE = 4_096  # examples of which means are taken at a time


def make(splits: Splits) -> Task:
    """Makes the task of telling a number, scored by the root of the mean squared error.

    Models see features, and learn targets, with mean 0 and standard deviation 1 over
    the training split; scores are in the unit of the target.

    Args:
        splits: Examples have `target`, a number, and either `features`, floats [d], or
            `image`, uint8 [height, width, channels]. `relevant`, bool [d], says which
            features matter, where that is known.

    Raises:
        ValueError: If the data lack what is needed.

    >>> x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    >>> source = data.Arrays(dict(features=x, target=x.sum(1)))
    >>> from dynsparse.tasks import regression
    >>> task = regression.make(
    ...     data.Splits(train=source, validation=source, test=source)
    ... )
    >>> task.model, task.metric
    ({'num_features': 3, 'num_outputs': 1}, 'rmse')
    """
    example = splits.example
    read = [name for name in ("features", "image") if name in example]
    if len(read) != 1 or "target" not in example:
        raise ValueError(
            "task: regression needs examples with target, and features or image; got "
            f"{sorted(example)}."
        )
    mean, std = _moments(splits, "target")
    found: dict[str, Any] = dict(target_mean=mean, target_std=std)
    if read == ["features"]:
        (number,) = example["features"].shape
        means, deviations = _moments(splits, "features")
        found |= dict(features_mean=means, features_std=deviations)
        inputs: Any = Features(tuple(means), tuple(deviations))
        model: dict[str, Any] = dict(num_features=number, num_outputs=1)
    else:
        inputs = Pixels()
        model = dict(image_shape=example["image"].shape, num_classes=1)
    return Task(
        splits=splits,
        inputs=inputs,
        losses=Losses(*mean, *std),
        scores=Scores(*mean, *std),
        finish=_rooted,
        metric="rmse",
        higher_is_better=False,
        unit="",
        model=model,
        facts=splits.known(**found),
        distance=_distance,
        relevant=_relevant if "relevant" in example else None,
    )


@dataclasses.dataclass(frozen=True)
class Features:
    """Map from features to those with mean 0 and standard deviation 1; pure.

    Attributes:
        mean: Of each feature.
        std: Of each feature.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, batch: Batch) -> Float[Array, "batch d"]:
        """Returns the features of a batch as the model takes them, in float32."""
        x = jnp.asarray(batch["features"]).astype(jnp.float32)
        row = lambda numbers: jnp.array(numbers, jnp.float32)[None]
        return (x - row(self.mean)) / row(self.std)


@dataclasses.dataclass(frozen=True)
class Losses:
    """Half of the squared error, in squared standard deviations of the target.

    Attributes:
        mean: Of the target.
        std: Of the target.
    """

    mean: float
    std: float

    def __call__(
        self, outputs: Float[Array, "batch 1"], batch: Batch
    ) -> Float[Array, "batch"]:
        """Returns the loss of each example; a model tells standard deviations."""
        apart = outputs[:, 0] - (_target(batch) - self.mean) / self.std
        return 0.5 * jnp.square(apart)


@dataclasses.dataclass(frozen=True)
class Scores:
    """Mean squared and mean absolute error, in the unit of the target.

    Attributes:
        mean: Of the target.
        std: Of the target.
    """

    mean: float
    std: float

    def __call__(
        self, outputs: Float[Array, "batch 1"], batch: Batch
    ) -> dict[str, Mean]:
        """Returns the means of a batch."""
        apart = self.mean + self.std * outputs[:, 0] - _target(batch)
        weight = weights(batch)
        return dict(
            mse=Mean.of(jnp.square(apart), weight),
            mae=Mean.of(jnp.abs(apart), weight),
        )


def _target(batch: Batch) -> Float[Array, "batch"]:
    return jnp.asarray(batch["target"]).astype(jnp.float32)


def _rooted(means: Mapping[str, float]) -> dict[str, float]:
    return dict(rmse=means["mse"] ** 0.5) | dict(means)


def _distance(teacher: Array, student: Array, temperature: Any) -> Array:
    del temperature
    return 0.5 * jnp.square(teacher - student)[:, 0]


def _relevant(batch: Batch) -> Bool[Array, "batch d"]:
    return jnp.asarray(batch["relevant"])


def _moments(splits: Splits, name: str) -> tuple[list[float], list[float]]:
    """Mean and standard deviation over the training split, read in parts."""
    if f"{name}_mean" in splits.facts:
        return splits.facts[f"{name}_mean"], splits.facts[f"{name}_std"]
    source: Source = splits.train
    total, squares = np.zeros(()), np.zeros(())
    for start in range(0, len(source), _AT_ONCE):
        numbers = np.arange(start, min(start + _AT_ONCE, len(source)))
        x = np.asarray(read_batch(source, numbers)[name], np.float64)
        total, squares = total + x.sum(0), squares + np.square(x).sum(0)
    mean = total / len(source)
    std = np.sqrt(np.maximum(squares / len(source) - np.square(mean), 0))
    std = np.where(std > 0, std, 1.0)  # of one value
    return np.atleast_1d(mean).tolist(), np.atleast_1d(std).tolist()
