"""Data sets of labelled images, one per file, found by the name of the file."""

from dynsparse._internal import registry
from dynsparse.data.base import Dataset, Inputs, KnownDataset, Split

__all__ = ["Dataset", "Inputs", "KnownDataset", "Split", "available", "from_config"]


def available() -> list[str]:
    """Returns the names of the data sets of this library.

    >>> data.available()
    ['cluttered_digits', 'npz_images']
    """
    return registry.available(__name__)


def from_config(config: registry.Config) -> Dataset:
    """Builds the data set that `config` names.

    Args:
        config: `name`, one of `available()` or "package.module:Class", and exactly the
            keys of that class's constructor.

    Raises:
        ValueError: If a name, key, value or file is not accepted.

    >>> sizes = dict(num_train=4, num_validation=2, num_test=2, canvas=16, digit_size=8)
    >>> clutter = dict(max_fragments=2, fragment_size=4, min_contrast=0.5, seed=0)
    >>> digits = data.from_config(dict(name="cluttered_digits", **sizes, **clutter))
    >>> digits.train.images.shape
    (4, 16, 16, 1)
    """
    return registry.build(__name__, config)
