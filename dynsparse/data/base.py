"""What a task is to the rest of the library: three splits of labelled pictures."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8


@dataclasses.dataclass(frozen=True)
class Split:
    """Labelled pictures, in memory.

    Attributes:
        images: 0 to 255.
        labels: In [0, num_classes).
        best_mask: Where the object truly is, if that is known.
        difficulty: In [0, 1], larger is harder, if that is known.
        factors: What the difficulty is the mean of, by name, each in [0, 1].
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
        """The pictures at some places, with all that is known of them."""
        part = lambda array: None if array is None else array[chosen]
        return Split(
            images=self.images[chosen],
            labels=self.labels[chosen],
            best_mask=part(self.best_mask),
            difficulty=part(self.difficulty),
            factors={name: factor[chosen] for name, factor in self.factors.items()},
        )


class Dataset(abc.ABC):
    """A task. Subclass it in a file of its own and set the attributes.

    Attributes:
        num_classes: Number of labels.
        class_names: What the labels mean, or None where that is not known.
        train: What the model learns from.
        validation: What every choice is made on.
        test: What is reported.
    """

    num_classes: int
    class_names: Sequence[str] | None = None
    train: Split
    validation: Split
    test: Split

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every picture."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels
