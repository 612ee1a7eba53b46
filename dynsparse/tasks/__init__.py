"""What is learned: one task per file, found by the name of the file."""

import importlib
from typing import Any

from dynsparse._internal import registry
from dynsparse.data import Splits
from dynsparse.tasks.base import Batch, Mean, Task, weights

__all__ = [
    "Batch",
    "Mean",
    "Task",
    "available",
    "from_config",
    "model_keys",
    "weights",
]


def available() -> list[str]:
    """Returns the names of the tasks of this library.

    >>> tasks.available()
    ['images', 'next_token', 'regression', 'token_labels']
    """
    return registry.available(__name__)


def from_config(config: registry.Config, splits: Splits) -> Task:
    """Makes the task that `config` names of a data set.

    Args:
        config: `name`, one of `available()` or "package.module:make", and exactly the
            keys of that function but for `splits`; it returns a `Task`.
        splits: Data set.

    Raises:
        ValueError: If a name, key or value is not accepted, or the data set lacks what
            the task needs.

    >>> images = np.zeros((4, 8, 8, 1), np.uint8)
    >>> source = data.Arrays(dict(image=images, label=np.arange(4) % 2))
    >>> splits = data.Splits(
    ...     train=source, validation=source, test=source, facts=dict(num_classes=2)
    ... )
    >>> keys = dict(shift=0, flip=False, standardise=False)
    >>> tasks.from_config(dict(name="images", **keys), splits).metric
    'accuracy'
    """
    task: Any = registry.build(__name__, config, "task", splits=splits)
    if not isinstance(task, Task):
        raise ValueError(
            f"task: {config['name']} must return a dynsparse.tasks.Task, "
            f"got {type(task).__name__}."
        )
    return task


def model_keys(config: registry.Config) -> tuple[str, ...] | None:
    """Names of the arguments that a task gives a model; None where it does not say.

    Args:
        config: As in `from_config`.

    >>> tasks.model_keys(dict(name="images"))
    ('image_shape', 'num_classes')
    """
    make = registry.find(__name__, config["name"], "task")
    return getattr(importlib.import_module(make.__module__), "MODEL_KEYS", None)
