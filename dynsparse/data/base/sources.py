"""Sources: examples by number, each a dict of arrays."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int

Record = Mapping[str, Any]  # arrays and numbers of one example, by name
Batch = dict[str, np.ndarray]  # those of several, with a leading axis


@runtime_checkable
class Source(Protocol):
    """Examples by number: what grain calls a random-access data source.

    A list of dicts is one, and so is a `grain.MapDataset` of dicts. A source that reads
    many examples at once faster than one by one has
    `read_batch(indices) -> dict of arrays`, too.

    >>> isinstance([dict(x=1)], data.Source), isinstance(3, data.Source)
    (True, False)
    """

    def __len__(self) -> int:
        """Returns the number of examples."""
        ...

    def __getitem__(self, index: int, /) -> Record:
        """Returns one example."""
        ...


class Arrays:
    """Examples that are rows of arrays: in memory, or memory-mapped.

    Args:
        arrays: Arrays by name, each [n, ...], with the same n > 0.

    Raises:
        ValueError: If there are no arrays, or they differ in length.

    >>> source = data.Arrays(dict(x=np.arange(6.0).reshape(3, 2), y=np.arange(3)))
    >>> len(source), source[1]["x"].tolist()
    (3, [2.0, 3.0])
    >>> source.read_batch([2, 0])["y"].tolist()
    [2, 0]
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self.arrays = dict(arrays)
        lengths = {name: len(array) for name, array in self.arrays.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(
                f"data: arrays must be as long as each other, got {lengths or 'none'}."
            )

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, index: int) -> Record:
        return {name: array[index] for name, array in self.arrays.items()}

    def read_batch(self, indices: Sequence[int] | Int[np.ndarray, "m"]) -> Batch:
        """Returns the rows of some examples.

        Args:
            indices: Their numbers, in [0, n).
        """
        chosen = np.asarray(indices)
        return {name: array[chosen] for name, array in self.arrays.items()}

    def take(self, chosen: Int[np.ndarray, "m"] | Bool[np.ndarray, "n"]) -> "Arrays":
        """Returns a source of some of the examples.

        Args:
            chosen: Their numbers, or True for each that is taken.
        """
        return Arrays({name: array[chosen] for name, array in self.arrays.items()})


class Deferred:
    """A source that is made when it is first read.

    Args:
        make: Makes it.

    >>> source = data.Deferred(lambda: data.Arrays(dict(y=np.arange(3))))
    >>> len(source)
    3
    """

    def __init__(self, make: Callable[[], Source]):
        self._make = make
        self._made: Source | None = None

    @property
    def _source(self) -> Any:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Record:
        return self._source[index]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._source, name)


def read_batch(source: Source, indices: Sequence[int] | Int[np.ndarray, "m"]) -> Batch:
    """Returns some examples of a source as one dict of arrays, [m, ...].

    Args:
        source: Any source.
        indices: Numbers of the examples, in [0, n).

    >>> data.read_batch([dict(y=1), dict(y=5), dict(y=9)], [2, 0])["y"].tolist()
    [9, 1]
    """
    at_once = getattr(source, "read_batch", None)
    if at_once is not None:
        return at_once(indices)
    records = [source[int(index)] for index in indices]
    return {name: np.stack([r[name] for r in records]) for name in records[0]}
