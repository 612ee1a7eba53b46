"""Classes of labelled images."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped, UInt8

from dynsparse.data import Source, Splits, read_batch
from dynsparse.tasks.base import Batch, Mean, Shown, Task, weights

MODEL_KEYS = ("image_shape", "num_classes")
_AT_ONCE = 4_096  # images of which means are taken at a time


def make(
    splits: Splits, *, shift: int = 0, flip: bool = False, standardise: bool = False
) -> Task:
    """Makes the task of telling the class of an image.

    Args:
        splits: Examples have `image`, uint8 [height, width, channels], and `label`, an
            integer in [0, num_classes), a fact of the data; `class_names`, another one,
            where there are names. `relevant`, bool [height, width], says which pixels
            matter, where that is known.
        shift: Maximum random shift of training images, in pixels along each side;
            black pixels fill in.
        flip: Whether training mirrors half of the images, left to right.
        standardise: Whether models see channels of mean 0 and standard deviation 1
            over the training images; otherwise values in [0, 1].

    Raises:
        ValueError: If the data lack what is needed, or `shift` is out of range.

    >>> source = data.Arrays(dict(image=np.zeros((4, 8, 8, 1), np.uint8),
    ...                          label=np.arange(4) % 2))
    >>> splits = data.Splits(
    ...     train=source, validation=source, test=source, facts=dict(num_classes=2)
    ... )
    >>> from dynsparse.tasks import images
    >>> images.make(splits, flip=True).model
    {'image_shape': (8, 8, 1), 'num_classes': 2}
    """
    shape, num_classes = _checked(splits)
    if not 0 <= shift < min(shape[:2]):
        raise ValueError(
            f"task: shift must be in [0, {min(shape[:2])}), the side of an image, got "
            f"{shift}."
        )
    found: dict[str, Any] = {}
    if standardise:
        known = splits.facts if "mean" in splits.facts else _moments(splits.train)
        found = {name: list(known[name]) for name in ("mean", "std")}
    names = splits.facts.get("class_names")
    return Task(
        splits=splits,
        inputs=Pixels(**{name: tuple(value) for name, value in found.items()}),
        losses=losses,
        scores=scores,
        metric="accuracy",
        model=dict(image_shape=shape, num_classes=num_classes),
        facts=splits.known(**found),
        augment=Augment(shift=shift, flip=flip),
        relevant=_relevant if "relevant" in splits.example else None,
        groups=_labels,
        draw=Draw(None if names is None else tuple(names)),
        noun="image",
    )


def losses(
    outputs: Float[Array, "batch classes"], batch: Batch
) -> Float[Array, "batch"]:
    """Cross-entropy of each image, in nats."""
    return optax.losses.softmax_cross_entropy_with_integer_labels(
        outputs, batch["label"]
    )


def scores(outputs: Float[Array, "batch classes"], batch: Batch) -> dict[str, Mean]:
    """Share of images whose class has the largest logit."""
    right = outputs.argmax(-1) == batch["label"]
    return dict(accuracy=Mean.of(right, weights(batch)))


def _labels(batch: Batch) -> Int[Array, "batch"]:
    return batch["label"]


def _relevant(batch: Batch) -> Bool[Array, "batch height width"]:
    return batch["relevant"]


@dataclasses.dataclass(frozen=True)
class Pixels:
    """Map from images of pixels from 0 to 255 to the input of a model; pure.

    Attributes:
        mean: Mean that is subtracted, by channel or one for all, for pixels in [0, 1].
        std: Standard deviation that the result is divided by, likewise.

    >>> from dynsparse.tasks.images import Pixels
    >>> image = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1)
    >>> Pixels(mean=(0.5,), std=(0.5,))(dict(image=image)).ravel().tolist()
    [-1.0, 1.0]
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __call__(self, batch: Batch) -> Float[Array, "*batch height width channels"]:
        """Returns the images of a batch as the model takes them, in float32.

        Raises:
            ValueError: If images are not uint8, such as images that were mapped before.
        """
        images: Shaped[Array, "*batch height width channels"] = batch["image"]
        if images.dtype != np.uint8:
            raise ValueError(
                f"images must be uint8, from 0 to 255, got {images.dtype}."
            )
        scaled = jnp.asarray(images).astype(jnp.float32) / 255
        if self == Pixels():
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

    def __call__(self, batch: Batch, key: PRNGKeyArray) -> Batch:
        """Returns the batch with its images shifted and mirrored at random."""
        images: UInt8[Array, "batch height width channels"] = batch["image"]
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
        return dict(batch) | dict(image=images)


@dataclasses.dataclass(frozen=True)
class Draw:
    """Draws which patches of images a model keeps at each density.

    Attributes:
        class_names: Name of each class; None if they are not known.
    """

    class_names: tuple[str, ...] | None

    def __call__(self, folder: pathlib.Path, shown: Shown) -> str | None:
        """Writes kept.npz and kept.png, for a model with one gate over its tokens."""
        from dynsparse import reports

        if shown.grid is None:
            return None
        found = [shown.grid.over_image(masks.values()) for masks in shown.masks]
        if any(len(masks) != 1 for masks in found):
            return None
        grid, number = shown.grid, len(shown.batch["image"])
        names: dict[str, Any] = {}
        if self.class_names is not None:
            names = dict(classes=list(self.class_names))
        np.savez(
            folder / "kept.npz",
            images=shown.batch["image"],
            patch=grid.patch,
            labels=shown.batch["label"],
            densities=list(shown.densities),
            predictions=[np.asarray(x).argmax(-1) for x in shown.outputs],
            masks=[
                np.asarray(masks[0]).reshape(number, grid.rows, grid.columns)
                for masks in found
            ],
            **names,
        )
        return reports.draw_kept(folder).name


def _checked(splits: Splits) -> tuple[tuple[int, int, int], int]:
    """Shape of the images and number of classes.

    Raises:
        ValueError: If there are none, or other ones than a classifier takes.
    """
    num_classes, example = splits.facts.get("num_classes"), splits.example
    missing = [name for name in ("image", "label") if name not in example]
    if missing or not isinstance(num_classes, int):
        raise ValueError(
            "task: images needs examples with image and label, and the fact "
            f"num_classes; got {sorted(example)} and facts {sorted(splits.facts)}."
        )
    image = example["image"]
    if len(image.shape) != 3 or image.dtype != np.uint8:
        raise ValueError(
            "task: images must be uint8 [height, width, channels], got "
            f"{image.dtype} {list(image.shape)}."
        )
    height, width, channels = image.shape
    return (height, width, channels), num_classes


def _moments(source: Source) -> Mapping[str, list[float]]:
    """Mean and standard deviation of each channel, in [0, 1], read in parts."""
    levels = np.arange(256) / 255
    counts = np.zeros((source[0]["image"].shape[-1], 256), np.int64)  # exact, and small
    for start in range(0, len(source), _AT_ONCE):
        numbers = np.arange(start, min(start + _AT_ONCE, len(source)))
        images = read_batch(source, numbers)["image"]
        channels = [images[..., c].ravel() for c in range(images.shape[-1])]
        counts += np.array([np.bincount(c, minlength=256) for c in channels])
    shares = counts / counts[0].sum()
    mean = shares @ levels
    variances = [
        share @ (levels - m) ** 2 for share, m in zip(shares, mean, strict=True)
    ]
    deviations = [float(np.sqrt(v)) or 1.0 for v in variances]  # 1 of one value
    return dict(mean=[float(m) for m in mean], std=deviations)
