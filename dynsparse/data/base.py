"""What a task is to the rest of the library: three splits of labelled pictures."""

import abc
import dataclasses

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
    """

    images: UInt8[np.ndarray, "n height width channels"]
    labels: Int[np.ndarray, "n"]
    best_mask: Bool[np.ndarray, "n height width"] | None = None
    difficulty: Float[np.ndarray, "n"] | None = None

    def __len__(self) -> int:
        return len(self.labels)


class Dataset(abc.ABC):
    """A task. Subclass it in a file of its own and set the attributes.

    Attributes:
        num_classes: Number of labels.
        train: What the model learns from.
        validation: What every choice is made on.
        test: What is reported.
    """

    num_classes: int
    train: Split
    validation: Split
    test: Split

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every picture."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels
