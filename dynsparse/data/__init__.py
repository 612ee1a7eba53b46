"""Data sets, one per file, found by the name of the file, and sources of examples."""

from dynsparse._internal import registry
from dynsparse.data.base.arrays_folder import open_arrays
from dynsparse.data.base.sources import Arrays, Deferred, Source, read_batch
from dynsparse.data.base.splits import Splits

__all__ = [
    "Arrays",
    "Deferred",
    "Source",
    "Splits",
    "available",
    "from_config",
    "open_arrays",
    "read_batch",
]


def available() -> list[str]:
    """Returns the names of the data sets of this library.

    >>> data.available()[:3]
    ['associative_recall', 'cifar', 'cluttered_digits']
    """
    return registry.available(__name__)


def from_config(config: registry.Config) -> Splits:
    """Makes the data set that `config` names.

    Args:
        config: `name`, one of `available()` or "package.module:make", and exactly the
            keys of that function, which returns `Splits`.

    Raises:
        ValueError: If a name, key, value or file is not accepted.

    >>> sizes = dict(num_train=4, num_validation=2, num_test=2, canvas=16, digit_size=8)
    >>> clutter = dict(max_fragments=2, fragment_size=4, min_contrast=0.5, seed=0)
    >>> digits = data.from_config(dict(name="cluttered_digits", **sizes, **clutter))
    >>> digits.example["image"].shape, len(digits.train)
    ((16, 16, 1), 4)
    """
    splits = registry.build(__name__, config)
    if not isinstance(splits, Splits):
        raise ValueError(
            f"data: {config['name']} must return dynsparse.data.Splits, "
            f"got {type(splits).__name__}."
        )
    return splits
