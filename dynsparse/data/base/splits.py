"""A data set: what is learned from, what choices are made on, what is reported."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from dynsparse.data.base.sources import Deferred, Source

_EXAMPLE = "example"  # the fact that says what an example looks like


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """Three sources of the same kind of example, and what is known of them.

    Attributes:
        train: Examples that a model learns from.
        validation: Examples that every choice is made on.
        test: Examples that are reported.
        facts: Plain values, as JSON has them, that tasks ask for, such as `num_classes`
            and `class_names` of labelled images.

    >>> noise = data.Arrays(dict(image=np.zeros((4, 8, 8, 1), np.uint8),
    ...                          label=np.arange(4) % 2))
    >>> splits = data.Splits(
    ...     train=noise, validation=noise, test=noise, facts=dict(num_classes=2)
    ... )
    >>> splits.example["image"]
    ShapeDtypeStruct(shape=(8, 8, 1), dtype=uint8)
    """

    train: Source
    validation: Source
    test: Source
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def example(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shape and type of each array of an example, without the axis of a batch."""
        known = self.facts.get(_EXAMPLE)
        if known is not None:
            return {
                name: jax.ShapeDtypeStruct(tuple(shape), np.dtype(kind))
                for name, (kind, shape) in known.items()
            }
        arrays = {name: np.asarray(value) for name, value in self.train[0].items()}
        return {
            name: jax.ShapeDtypeStruct(array.shape, array.dtype)
            for name, array in arrays.items()
        }

    def known(self, **more: Any) -> dict[str, Any]:
        """Returns the facts, what an example looks like among them.

        Args:
            **more: Facts that a task has found out.
        """
        example = {
            name: [x.dtype.name, list(x.shape)] for name, x in self.example.items()
        }
        return dict(self.facts) | more | {_EXAMPLE: example}

    @classmethod
    def deferred(
        cls, facts: Mapping[str, Any], make: Callable[[], "Splits"]
    ) -> "Splits":
        """Returns splits of which facts are known and that are made on first use.

        Args:
            facts: As `known` gave them.
            make: Makes the whole.

        >>> source = data.Arrays(dict(y=np.arange(3)))
        >>> whole = data.Splits(train=source, validation=source, test=source)
        >>> alone = data.Splits.deferred(whole.known(), lambda: whole)
        >>> alone.example["y"].dtype.name, len(alone.test)
        ('int64', 3)
        """
        whole = functools.cache(make)
        later = lambda name: Deferred(lambda: getattr(whole(), name))
        return cls(
            train=later("train"),
            validation=later("validation"),
            test=later("test"),
            facts=facts,
        )
