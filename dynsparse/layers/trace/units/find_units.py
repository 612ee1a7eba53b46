"""Finds the units of a host: an axis that products sum over, with all its places."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Int

from dynsparse.layers.trace.axes.axes import DRAWN, NUMBERED
from dynsparse.layers.trace.axes.same_axes import Axis
from dynsparse.layers.trace.program.host_call import HostTrace
from dynsparse.layers.trace.program.program import Step, Value, ancestors, descendants

Kind = Literal["any", "split", "channels"]
_PRODUCTS = ("dot_general", "conv_general_dilated")
_MOVES = ("convert_element_type", "reshape", "slice", "squeeze", "transpose")
_SUMS = ("add", "convert_element_type", "mul", "neg", "reshape", "sub")

Reader = tuple[str, Step, list[Axis]]  # a parameter, who reads it, over which axes


@dataclasses.dataclass(frozen=True, eq=False)
class Units:
    """An axis of units of a host, and what of its program belongs to it.

    Attributes:
        trace: The host's call.
        factor: Factor of axes that the units are.
        reader: Parameter that reads the units, as a rule names it.
        ends: Products that contract the units.
        before: Steps that do not depend on which units run.
        inside: Steps from there to the products that contract the units.
        after: Steps that run on the sum over all units.
        entangled: Whether a sum over the units decides about the units, so that they
            cannot be added up one by one.
    """

    trace: HostTrace
    factor: int
    reader: str
    ends: frozenset[Step]
    before: tuple[Step, ...]
    inside: tuple[Step, ...]
    after: tuple[Step, ...]
    entangled: bool

    @property
    def num_units(self) -> int:
        """Number of units."""
        return self.trace.axes.classes.size((self.factor,))

    @property
    def members(self) -> dict[str, list[int]]:
        """Axes of the host's parameters that hold the units, by the parameter."""
        named = self.trace.parameters.items()
        found = {name: self.holding(value) for name, value in named}
        return {name: axes for name, axes in found.items() if axes}

    def holding(self, value: Value) -> list[int]:
        """Returns the indices of a value's axes that hold the units."""
        return self.trace.axes.holding(value, self.factor)

    @property
    def readers(self) -> dict[str, int] | None:
        """Parameters that read the units, with the axis; None if others read them."""
        named = {value: name for name, value in self.trace.parameters.items()}
        made = {v: step for step in self.trace.program.steps for v in step.outputs}
        found = {}
        for step in self.ends:
            value = step.inputs[1 - self.weighed(step)]
            while value in made and made[value].name in _MOVES:
                value = made[value].inputs[0]
            if value not in named:
                return None
            found[named[value]] = self.holding(value)[0]
        return found

    def places(self, name: str, chosen: Int[np.ndarray, "n"]) -> Int[np.ndarray, "m"]:
        """Returns where some units lie along the axis of a parameter that reads them.

        Args:
            name: One of `readers`.
            chosen: Units.
        """
        value = self.trace.parameters[name]
        axis = self.trace.axes.of(value)[self.holding(value)[0]]
        return self.trace.axes.classes.places(axis, self.factor, chosen)

    def weighed(self, step: Step) -> int:
        """Returns which operand of a product that ends the units a mask multiplies."""
        own = derived(self.trace)
        return 1 if step.inputs[0] in own else 0


@functools.lru_cache(maxsize=1 << 10)
def find_units(trace: HostTrace, reader: str | None, kind: Kind = "any") -> Units:
    """Finds the units of a host.

    Args:
        trace: The host's call.
        reader: Path of the parameter that reads the units, in the host, such as
            "down_proj/kernel"; None for that of the last product that will do.
        kind: What the units are, where no parameter is named: "split" are those of an
            axis that is a product, such as heads; "channels" are read by a convolution,
            if one will do.

    Raises:
        ValueError: If there are none, with the reason.
    """
    readers = _readers(trace)
    if reader is not None:
        known = dict.fromkeys(name for name, _, _ in readers)
        if reader not in known:
            raise ValueError(
                f"units={reader!r} is no parameter that a product reads; there are "
                f"{', '.join(known) or 'none'}."
            )
        readers = [row for row in readers if row[0] == reader]
    order = _likeliest_first(trace, readers)
    if kind == "channels":  # a stable sort: convolutions first
        order.sort(key=lambda row: row[1].name != "conv_general_dilated")
    reasons: list[str] = []
    found: list[tuple[int, str, int]] = []
    for name, _, axes in order:
        factors = [f for axis in axes for f in trace.axes.classes.factors(axis)]
        factors = [f for f in factors if trace.axes.classes.size((f,)) > 1]
        if len(factors) < (2 if kind == "split" else 1):
            reasons.append(f"{name}: what it reads is not split into heads")
            continue
        factors = factors[:1] if kind == "split" else factors
        found += [(i > 0, name, factor) for i, factor in enumerate(factors)]
    for _, name, factor in sorted(found, key=lambda row: row[0]):  # outer ones first
        try:
            return _units(trace, factor, name)
        except ValueError as error:
            reasons.append(f"{name}: {error}")
    detail = "; ".join(dict.fromkeys(reasons)) or "no product reads a parameter"
    raise ValueError(f"no units were found ({detail}).")


@functools.lru_cache(maxsize=1 << 10)
def derived(trace: HostTrace) -> dict[Value, str]:
    """Finds the values that depend on parameters alone, by the first of these.

    Args:
        trace: A host's call.
    """
    names: dict[Value, str] = {v: name for name, v in trace.parameters.items()}
    for step in trace.program.steps:
        own = [names.get(value) for value in step.inputs if value.known is None]
        if own and own[0] is not None and None not in own:
            names.update(dict.fromkeys(step.outputs, own[0]))
    return names


def _readers(trace: HostTrace) -> list[Reader]:
    """Parameters that products read, with the axes over which these sum."""
    names, found = derived(trace), list[Reader]()
    for step in trace.program.steps:
        if step.name in _PRODUCTS:
            own = [value in names for value in step.inputs]
            if own.count(True) == 1:
                i = own.index(True)
                value = step.inputs[i]
                axes = [trace.axes.of(value)[j] for j in sorted(contracted(step, i))]
                found.append((names[value], step, axes))
    return found


def _likeliest_first(trace: HostTrace, readers: Sequence[Reader]) -> list[Reader]:
    """The last product first; before it, wider ones whose results are added to it."""
    order = list(reversed(readers))
    if not order:
        return order
    size = lambda row: trace.axes.classes.size(row[2][0])
    products = {row[1]: row for row in order}
    added = _added_to(trace, order[0][1])
    wider = [products[step] for step in added if step in products]
    wider = sorted([r for r in wider if size(r) > size(order[0])], key=size)[::-1]
    return [*wider, *(row for row in order if row not in wider)]


def _added_to(trace: HostTrace, product: Step) -> list[Step]:
    """Products whose results are added to that of a product, the first that are."""
    value = product.outputs[0]
    made = {v: step for step in trace.program.steps for v in step.outputs}
    for step in trace.program.steps:
        if value not in step.inputs or step.name not in _SUMS:
            continue
        value, found = step.outputs[0], []
        stack = [v for v in step.inputs if v is not value and step.name == "add"]
        while stack:
            source = made.get(stack.pop())
            if source is not None and source.name in _PRODUCTS:
                found.append(source)
            elif source is not None and source.name in _SUMS:
                stack += source.inputs
        if any(other is not product for other in found):
            return [other for other in found if other is not product]
    return []


def contracted(step: Step, operand: int) -> Sequence[int]:
    """Returns the axes of an operand over which a product sums, windows aside.

    Args:
        step: A product.
        operand: Index of the operand.
    """
    numbers = step.params["dimension_numbers"]
    if step.name == "dot_general":
        return numbers[0][operand]
    return (numbers.lhs_spec[1] if operand == 0 else numbers.rhs_spec[1],)


def _units(trace: HostTrace, factor: int, reader: str) -> Units:
    """The units of a factor.

    Raises:
        ValueError: If they cannot be taken apart, with the reason.
    """
    axes, steps = trace.axes, trace.program.steps
    has = lambda value: bool(axes.holding(value, factor))
    _check_free(trace, factor)
    ends = [
        s for s in steps if any(map(has, s.inputs)) and not any(map(has, s.outputs))
    ]
    for step in ends:
        if step.name not in _PRODUCTS:
            raise ValueError(f"{step.name} ends the units")
        for i, value in enumerate(step.inputs):
            read = [axes.of(value)[j] for j in contracted(step, i)]
            if has(value) and not any(factor in axes.classes.factors(a) for a in read):
                raise ValueError("a product sums over them and others alike")
    late = descendants(ends, steps)
    results = [value for value in trace.program.outputs if has(value)]
    if any(value in step.outputs for step in late for value in results):
        raise ValueError("the host's result has them")
    whole = ancestors(results, steps)
    fills = lambda step: step.name == "broadcast_in_dim" and has(step.outputs[0])
    read_by = [s for s in steps if any(map(has, s.inputs)) or fills(s)]
    inside = [step for step in read_by if step not in whole]
    own = {*inside, *late}
    return Units(
        trace=trace,
        factor=factor,
        reader=reader,
        ends=frozenset(ends),
        before=tuple(step for step in steps if step not in own),
        inside=tuple(inside),
        after=tuple(step for step in steps if step in late and step not in inside),
        entangled=any(step in late for step in inside),
    )


def _check_free(trace: HostTrace, factor: int):
    """Raises a ValueError if units of a factor cannot be told apart."""
    if trace.axes.holding(trace.stream, factor):
        raise ValueError("the host's input has them")
    for lock in trace.axes.classes.locks(factor):
        if lock.reason not in (NUMBERED, DRAWN):
            raise ValueError(lock.reason)
    if trace.axes.classes.segments(factor) is not None:
        raise ValueError("they are put together from parts")
    if trace.axes.any_holding(trace.arguments, factor) and not _made(trace, factor):
        raise ValueError("they are features of an argument")


def _made(trace: HostTrace, factor: int) -> bool:
    """Whether a product with a parameter makes units of a factor."""
    axes, own = trace.axes, derived(trace)
    made = [s for s in trace.program.steps if axes.any_holding(s.outputs, factor)]
    read_by = [v for s in made if s.name in _PRODUCTS for v in s.inputs if v in own]
    return axes.any_holding(read_by, factor)
