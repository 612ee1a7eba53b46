"""Tasks: where images come from; one source per file, found by the file's name."""

from dynsparse._internal import registry
from dynsparse.data.base import Dataset, Inputs, KnownDataset, Split

__all__ = ["Dataset", "Inputs", "KnownDataset", "Split", "available", "from_config"]


def available() -> list[str]:
    """Names of the tasks of this library."""
    return registry.available(__name__)


def from_config(config: registry.Config) -> Dataset:
    """Builds the task that `config` names.

    Args:
        config: `name`, one of `available()` or "package.module:Class", and exactly the
            keys of that task's constructor.

    Raises:
        ValueError: If a name, key, value or file is not accepted.
    """
    return registry.build(__name__, config)
