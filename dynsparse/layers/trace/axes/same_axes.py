"""Which axes are the same: a union-find over their factors and segments, with locks."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

Axis = tuple[int, ...]  # ids of factors, outer ones first; their sizes multiply


@dataclasses.dataclass(frozen=True)
class Lock:
    """A reason why an axis cannot be taken apart.

    Attributes:
        step: Index of the step of the program that reads the axis as a whole.
        factor: The factor that is read.
        reason: What the step does, in words.
    """

    step: int
    factor: int
    reason: str


class Classes:
    """Union-find over factors of axes.

    An axis is a product of factors: a reshape splits one factor into two. A factor may
    also be a row of segments, each an axis: that is how slices and concatenations read
    it. What cannot be followed is locked, with a reason, and never guessed.
    """

    def __init__(self):
        self._size: list[int] = []
        self._parent: list[int] = []
        self._product: dict[int, Axis] = {}
        self._segments: dict[int, tuple[Axis, ...]] = {}
        self._locks: list[Lock] = []
        # What was found since the last change.
        self._factors: dict[Axis, Axis] = {}
        self._held: dict[Axis, set[int]] = {}
        self.step = -1  # of the program, for locks

    def new(self, size: int) -> Axis:
        """Makes an axis that is like no other."""
        self._size.append(size)
        self._parent.append(len(self._parent))
        return (len(self._parent) - 1,)

    def factors(self, axis: Axis) -> Axis:
        """Returns the factors of an axis as they are known by now."""
        known = self._factors.get(axis)
        if known is None:
            found: list[int] = []
            for factor in axis:
                root = self._root(factor)
                inner = self._product.get(root)
                found += [root] if inner is None else self.factors(inner)
            known = self._factors[axis] = tuple(found)
        return known

    def size(self, axis: Axis, sizes: dict[int, int] | None = None) -> int:
        """Computes the length of an axis, where some factors have another size."""
        own = self.factors(axis)
        if not sizes:
            return math.prod([self._size[factor] for factor in own])
        return math.prod([self._length(factor, sizes) for factor in own])

    def segments(self, factor: int) -> tuple[Axis, ...] | None:
        """Returns the segments of a factor, or None where it has none."""
        return self._segments.get(self._root(factor))

    def holding(self, axes: Sequence[Axis], factor: int) -> list[int]:
        """Returns which axes a factor is part of, in one of their segments, too."""
        held = [self._held.get(axis) or self._all(axis) for axis in axes]
        return [i for i, factors in enumerate(held) if factor in factors]

    def places(
        self, axis: Axis, factor: int, chosen: Int[np.ndarray | Array, "n"]
    ) -> Any:
        """Returns where along an axis some entries of a factor lie, in order.

        Args:
            axis: Holds the factor.
            factor: Any factor.
            chosen: Entries of the factor; places of traced ones are traced, too.
        """
        array: Any = np if isinstance(chosen, np.ndarray) else jnp
        found = array.zeros(1, chosen.dtype)
        for inner in self.factors(axis):
            size, pieces = self._length(inner, {}), self._segments.get(inner, ())
            if inner == factor:
                own = chosen
            elif not pieces:
                own = array.arange(size, dtype=chosen.dtype)
            else:
                starts = self._places(pieces)
                own = array.concatenate(
                    [
                        s + self.places(p, factor, chosen)
                        for s, p in zip(starts, pieces, strict=False)
                    ]
                )
            found = (found[:, None] * size + own[None]).reshape(-1)
        return found

    def lock(self, axis: Axis, reason: str):
        """Notes that the current step reads an axis as a whole."""
        self._locks += [Lock(self.step, factor, reason) for factor in axis]

    def locks(self, factor: int) -> Iterator[Lock]:
        """Yields the locks of a factor, those of axes that hold it included."""
        for lock in self._locks:
            if self.holding([(lock.factor,)], factor):
                yield lock

    def same(self, left: Axis, right: Axis):
        """Unites two axes of the same length, factor by factor."""
        while True:
            left, right = self._long(left), self._long(right)
            if left == right or not left or not right:
                return
            a, b = left[0], right[0]
            if self._size[a] == self._size[b]:
                self._unite(a, b)
                left, right = left[1:], right[1:]
            elif not self._split(*sorted((a, b), key=lambda f: self._size[f])):
                self.lock((*left, *right), "a reshape whose sizes do not divide")
                return

    def cut(self, axis: Axis, at: Sequence[int]) -> list[Axis]:
        """Cuts an axis at some places into segments.

        Args:
            axis: Any axis.
            at: Places in rising order, from 0 to the length of the axis.
        """
        pieces, rest, done = [], axis, 0
        for place in at[1:-1]:
            piece, rest = self._halves(rest, place - done)
            pieces.append(piece)
            done = place
        return [*pieces, rest]

    def joined(self, axes: Sequence[Axis]) -> Axis:
        """Makes the axis along which some axes lie one after the other."""
        if len(axes) == 1:
            return axes[0]
        axis = self.new(sum(map(self.size, axes)))
        self._put_segments(axis[0], tuple(axes))
        return axis

    def _root(self, factor: int) -> int:
        while self._parent[factor] != factor:
            factor = self._parent[factor]
        return factor

    def _changed(self):
        """Forgets what was found before."""
        self._factors.clear()
        self._held.clear()

    def _put_segments(self, factor: int, segments: tuple[Axis, ...]):
        self._segments[factor] = segments
        self._changed()

    def _put_product(self, factor: int, axis: Axis):
        self._product[factor] = axis
        self._segments.pop(factor, None)
        self._changed()

    def _length(self, factor: int, sizes: dict[int, int]) -> int:
        if factor in sizes:
            return sizes[factor]
        segments = self._segments.get(factor)
        if segments is None:
            return self._size[factor]
        return sum(self.size(axis, sizes) for axis in segments)

    def _all(self, axis: Axis) -> set[int]:
        """Factors of an axis and of all of its segments."""
        found = set(self.factors(axis))
        for factor in tuple(found):
            for segment in self._segments.get(factor, ()):
                found |= self._all(segment)
        self._held[axis] = found
        return found

    def _long(self, axis: Axis) -> Axis:
        """Factors of an axis without those of size 1, which tell nothing."""
        return tuple(f for f in self.factors(axis) if self._size[f] != 1)

    def _split(self, outer: int, factor: int) -> bool:
        """Splits a factor into one of the size of `outer` and the rest, if it can."""
        count = self._size[outer]
        rest, remainder = divmod(self._size[factor], count)
        segments = self._segments.get(factor)
        if remainder:
            return False
        if segments is None:
            inner = self.new(rest)
        elif len(segments) == count and len(set(map(self.size, segments))) == 1:
            inner = segments[0]  # equal segments: an outer factor that counts them
            for other in segments[1:]:
                self.same(inner, other)
        else:  # segments of the outer factor, whose entries are alike
            return self._split_segments(factor, rest)
        self._put_product(factor, (*self.new(count), *inner))
        return True

    def _split_segments(self, factor: int, rest: int) -> bool:
        segments = self._segments[factor]
        if any(self.size(axis) % rest for axis in segments):
            return False
        inner, outer = self.new(rest), []
        for axis in segments:
            outer.append(self.new(self.size(axis) // rest))
            self.same(axis, (*outer[-1], *inner))
        self._put_product(factor, (*self.joined(outer), *inner))
        return True

    def _unite(self, a: int, b: int):
        if a == b:
            return
        mine, others = self._segments.get(a), self._segments.pop(b, None)
        self._parent[b] = a
        self._changed()
        if mine is None and others is not None:
            self._put_segments(a, others)
        elif mine is not None and others is not None:
            if self._places(mine) == self._places(others):
                for one, other in zip(mine, others, strict=True):
                    self.same(one, other)
            else:
                self.lock((a,), "two ways to cut it into segments")

    def _places(self, segments: Sequence[Axis]) -> list[int]:
        places = [0]
        for axis in segments:
            places.append(places[-1] + self.size(axis))
        return places

    def _pieces(self, segments: Sequence[Axis], places: Sequence[int]) -> list[Axis]:
        own, found = self._places(segments), []
        for axis, start, end in zip(segments, own, own[1:], strict=False):
            inside = [place - start for place in places if start <= place <= end]
            found += self.cut(axis, inside)
        return found

    def _halves(self, axis: Axis, at: int) -> tuple[Axis, Axis]:
        """Cuts an axis in two; locks it where a factor would be torn."""
        outer, *inner = self._long(axis)
        step = self.size(tuple(inner))
        if at % step:
            self.lock(axis, "a slice across its factors")
            return self.new(at), self.new(self.size(axis) - at)
        at //= step
        segments = self._segments.get(outer)
        if segments is None:
            whole = self._size[outer]
            self._put_segments(outer, (self.new(at), self.new(whole - at)))
        else:
            places = sorted({*self._places(segments), at})
            self._put_segments(outer, tuple(self._pieces(segments, places)))
        pieces = self._segments[outer]
        count = self._places(pieces).index(at)
        first, second = self.joined(pieces[:count]), self.joined(pieces[count:])
        return (*first, *inner), (*second, *inner)
