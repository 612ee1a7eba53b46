"""Data sets: three splits of labelled images, and how a model sees the images."""

import abc
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped, UInt8


@dataclasses.dataclass(frozen=True)
class Split:
    """Labelled images, in memory.

    Attributes:
        images: Pixels, 0 to 255.
        labels: Class of each image, in [0, num_classes).
        best_mask: Pixels of the object; None if they are not known.
        difficulty: Difficulty of each image, in [0, 1]; None if it is not known.
        factors: Quantities, each in [0, 1], whose mean is the difficulty, by name.

    >>> split = data.Split(
    ...     images=np.zeros((3, 2, 2, 1), np.uint8), labels=np.array([0, 1, 1])
    ... )
    >>> len(split.take(split.labels == 1))
    2
    """

    images: UInt8[np.ndarray, "n height width channels"]
    labels: Int[np.ndarray, "n"]
    best_mask: Bool[np.ndarray, "n height width"] | None = None
    difficulty: Float[np.ndarray, "n"] | None = None
    factors: Mapping[str, Float[np.ndarray, "n"]] = dataclasses.field(
        default_factory=dict
    )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: Int[np.ndarray, "m"] | Bool[np.ndarray, "n"]) -> "Split":
        """Returns some of the images, with all that is known of them.

        Args:
            chosen: Indices, or True for each image to take.
        """
        part = lambda array: None if array is None else array[chosen]
        return Split(
            images=self.images[chosen],
            labels=self.labels[chosen],
            best_mask=part(self.best_mask),
            difficulty=part(self.difficulty),
            factors={name: factor[chosen] for name, factor in self.factors.items()},
        )


def to_float(
    images: Shaped[Array | np.ndarray, "*batch height width channels"],
) -> Float[Array, "*batch height width channels"]:
    """Returns pixels from 0 to 255 as float32 in [0, 1].

    Raises:
        ValueError: If `images` are not uint8, such as images that were scaled before.
    """
    if images.dtype != np.uint8:
        raise ValueError(f"images must be uint8, from 0 to 255, got {images.dtype}.")
    return jnp.asarray(images).astype(jnp.float32) / 255


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Map from the images of a data set to the input of a model; pure.

    Training, evaluation, bills, serving and restored runs all call it.

    Attributes:
        mean: Mean that is subtracted, by channel or one for all, for pixels in [0, 1].
        std: Standard deviation that the result is divided by, likewise.

    >>> images = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1)
    >>> data.Inputs(mean=(0.5,), std=(0.5,))(images).ravel().tolist()
    [-1.0, 1.0]
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @classmethod
    def standardising(
        cls, images: UInt8[np.ndarray, "n height width channels"]
    ) -> "Inputs":
        """Returns the map that gives each channel mean 0 and standard deviation 1.

        Args:
            images: Images over which mean and deviation are taken.
        """
        levels = np.arange(256) / 255
        means, deviations = [], []
        for channel in range(images.shape[-1]):  # counts are exact, and small
            counts = np.bincount(images[..., channel].ravel(), minlength=256)
            mean = counts @ levels / counts.sum()
            means.append(float(mean))
            variance = counts @ (levels - mean) ** 2 / counts.sum()
            deviations.append(float(np.sqrt(variance)) or 1.0)  # of one value
        return cls(tuple(means), tuple(deviations))

    def __call__(
        self, images: Shaped[Array | np.ndarray, "*batch height width channels"]
    ) -> Float[Array, "*batch height width channels"]:
        """Returns images of pixels from 0 to 255 as the model takes them, in float32.

        Raises:
            ValueError: If `images` are not uint8, such as images that were mapped
                before.
        """
        scaled = to_float(images)
        if self == Inputs():
            return scaled
        axes = (1,) * (images.ndim - 1) + (-1,)
        row = lambda numbers: jnp.array(numbers, jnp.float32).reshape(axes)
        return (scaled - row(self.mean)) / row(self.std)


@dataclasses.dataclass(frozen=True)
class Augment:
    """Random augmentation of training images, each by itself; pure.

    Attributes:
        shift: Maximum shift in pixels along each side, >= 0; zeros fill in.
        flip: Whether half of the images are mirrored, left to right.
    """

    shift: int = 0
    flip: bool = False

    def __call__(
        self,
        images: UInt8[Array | np.ndarray, "batch height width channels"],
        key: jax.Array,
    ) -> UInt8[Array | np.ndarray, "batch height width channels"]:
        """Returns `images`, shifted and mirrored at random.

        Args:
            images: Batch of images.
            key: Random key of the step.
        """
        flip_key, shift_key = jax.random.split(key)
        if self.flip:
            images = jnp.asarray(images)
            mirrored = jax.random.bernoulli(flip_key, 0.5, (len(images), 1, 1, 1))
            images = jnp.where(mirrored, images[:, :, ::-1], images)
        if self.shift:
            around = (self.shift, self.shift)
            padded = jnp.pad(images, ((0, 0), around, around, (0, 0)))
            corners = jax.random.randint(
                shift_key, (len(images), 2), 0, 2 * self.shift + 1
            )
            shape = images.shape[1:]
            cut = lambda image, at: jax.lax.dynamic_slice(image, (*at, 0), shape)
            images = jax.vmap(cut)(padded, corners)
        return images


class Dataset(abc.ABC):
    """Data set of labelled images. Subclass it in a file of its own.

    Attributes:
        inputs: Map from images to the input of a model.
        augment: Augmentation of training images.
        num_classes: Number of classes.
        class_names: Name of each class; None if they are not known.
        train: Split that the model learns from.
        validation: Split that every choice is made on.
        test: Split that is reported.

    >>> class Noise(data.Dataset):
    ...     num_classes = 2
    ...     def __init__(self, *, number: int):
    ...         draw = np.random.default_rng(0).integers
    ...         self.train = self.validation = self.test = data.Split(
    ...             images=draw(0, 256, (number, 8, 8, 1), np.uint8),
    ...             labels=draw(0, 2, number),
    ...         )
    >>> Noise(number=5).image_shape
    (8, 8, 1)
    """

    inputs: Inputs = Inputs()
    augment: Augment = Augment()
    num_classes: int
    class_names: Sequence[str] | None = None
    train: Split
    validation: Split
    test: Split

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    def facts(self) -> dict[str, Any] | None:
        """Returns plain values that make a `KnownDataset`: what a model has to know.

        None for a task whose `inputs` or `augment` is of a class of its own.
        """
        if type(self.inputs) is not Inputs or type(self.augment) is not Augment:
            return None
        names = self.class_names
        return dict(
            image_shape=list(self.image_shape),
            num_classes=self.num_classes,
            class_names=None if names is None else list(names),
            inputs=dataclasses.asdict(self.inputs),
            augment=dataclasses.asdict(self.augment),
        )


class KnownDataset(Dataset):
    """Data set of which facts are known and whose images are loaded on first use.

    Args:
        facts: Values from `Dataset.facts`.
        build: Builds the whole data set.

    Raises:
        KeyError: If a fact is missing.

    >>> sizes = dict(num_train=4, num_validation=2, num_test=2, canvas=16, digit_size=8)
    >>> clutter = dict(max_fragments=2, fragment_size=4, min_contrast=0.5, seed=0)
    >>> build = lambda: data.from_config(
    ...     dict(name="cluttered_digits", **sizes, **clutter)
    ... )
    >>> known = data.KnownDataset(build().facts(), build)
    >>> known.image_shape, len(known.train)
    ((16, 16, 1), 4)
    """

    def __init__(self, facts: Mapping[str, Any], build: Callable[[], Dataset]):
        self.num_classes = facts["num_classes"]
        self.class_names = facts["class_names"]
        self.inputs = Inputs(*(tuple(facts["inputs"][k]) for k in ("mean", "std")))
        self.augment = Augment(**facts["augment"])
        self._image_shape = tuple(facts["image_shape"])
        self._build = build

    @functools.cached_property
    def _whole(self) -> Dataset:
        return self._build()

    def __getattr__(self, name: str) -> Any:
        if name in ("train", "validation", "test"):
            return getattr(self._whole, name)
        raise AttributeError(name)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        return self._image_shape
