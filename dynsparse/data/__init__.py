"""Tasks: where pictures come from; one source per file, found by the file's name."""

from dynsparse import lookup
from dynsparse.data.base import Dataset, Inputs, Split

__all__ = ["Dataset", "Inputs", "Split", "available", "from_config"]


def available() -> list[str]:
    """Names of the tasks of this library."""
    return lookup.available(__name__)


def from_config(config: lookup.Config) -> Dataset:
    """Builds the task that `config` names.

    Args:
        config: `name`, one of `available()` or "package.module:Class", and exactly the
            keys of that task's constructor.

    Raises:
        ValueError: If a name, key, value or file is not accepted.
    """
    return lookup.build(__name__, config)
