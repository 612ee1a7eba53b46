"""Experts of a host: stacked parameters whose results a router of its own weighs."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse.layers.trace.axes.axes import DRAWN, NUMBERED
from dynsparse.layers.trace.program.evaluate import read
from dynsparse.layers.trace.program.host_call import HostTrace
from dynsparse.layers.trace.program.program import Step, Value, ancestors, descendants
from dynsparse.layers.trace.units.find_units import Units, contracted, derived
from dynsparse.layers.trace.units.run_units import UnitsOfCall

Holds = Callable[[Value], bool]  # whether a value has the experts

# Where a value is 0, so is what these make of it.
_LINEAR = frozenset(
    [
        "broadcast_in_dim",
        "convert_element_type",
        "copy",
        "div",
        "dot_general",
        "mul",
        "neg",
        "reduce_sum",
        "reshape",
        "squeeze",
        "transpose",
    ]
)


@dataclasses.dataclass(frozen=True, eq=False)
class Experts(Units):
    """An axis of experts of a host, and what the host weighs them by.

    Attributes:
        weights: For each product that ends the experts, the values by which the host
            multiplies what it sums: where one is 0 the expert counts nothing.
    """

    weights: tuple[tuple[Value, ...], ...]

    def weighed(self, step: Step) -> int:
        """Returns which operand of a sum over the experts a mask multiplies."""
        made = {value for inner in self.inside for value in inner.outputs}
        given = [i for i, value in enumerate(step.inputs) if value in made]
        return given[0] if given else super().weighed(step)

    @property
    def readers(self) -> dict[str, int]:
        """Parameters without which an expert gives nothing, with the axis."""
        steps, own = self.trace.program.steps, derived(self.trace)
        values = {value for step in self.inside for value in step.inputs}
        needed = {value for value in values if value in own}
        for step in ancestors(needed, steps):
            needed.update(step.inputs)
        named = self.trace.parameters.items()
        held = {name: self.holding(v) for name, v in named if v in needed}
        return {name: axes[0] for name, axes in held.items() if axes}


@dataclasses.dataclass(frozen=True)
class ExpertsOfCall(UnitsOfCall):
    """The experts of one call of a host.

    Attributes:
        units: The experts of its host.
    """

    units: Experts

    def routed(self) -> Float[Array, "rows experts"]:
        """Computes how much each expert counts in each row, by the host's own router.

        Returns:
            The size of what the host multiplies its result by: 0 where it is not used.
        """
        total = jnp.zeros((), jnp.float32)
        for weights in self.units.weights:
            product = jnp.ones((), jnp.float32)
            for value in weights:
                x = read(self.early, value)
                product = product * self.rows.sizes(value, x, self.units.factor)
            total = total + product
        return total


@functools.lru_cache(maxsize=1 << 10)
def find_experts(trace: HostTrace, reader: str | None) -> Experts:
    """Finds the experts of a host: an axis that stacks parameters.

    Args:
        trace: The host's call.
        reader: Path of a parameter that holds them, such as "experts/down"; None for
            that of the last product that will do.

    Raises:
        ValueError: If there are none, with the reason.
    """
    reasons: list[str] = []
    tried: set[int] = set()
    for name, factor in _stacked(trace):
        if reader in (None, name) and factor not in tried:
            tried.add(factor)
            try:
                return _experts(trace, factor, name)
            except ValueError as error:
                reasons.append(f"{name}: {error}")
    names = {step.name for step in trace.program.steps}
    sorted_rows = sorted(name for name in names if name.startswith("ragged_dot"))
    if sorted_rows:
        reasons.append(
            f"{sorted_rows[0]} already runs each token by its own experts, in an order "
            f"that the host makes"
        )
    detail = "; ".join(dict.fromkeys(reasons)) or (
        "no product reads stacked parameters, and no loop weighs and adds up modules"
        if reader is None
        else f"{reader!r} is no stacked parameter that a product reads"
    )
    raise ValueError(f"no experts were found ({detail}).")


def _stacked(trace: HostTrace) -> Iterator[tuple[str, int]]:
    """Parameters of three axes or more, and each factor of these, the last first."""
    own = derived(trace)
    for step in reversed(trace.program.steps):
        for value in step.inputs if step.name == "dot_general" else ():
            if value in own and len(value.shape) > 2:
                axes = trace.axes.of(value)
                for factor in (f for a in axes for f in trace.axes.classes.factors(a)):
                    if trace.axes.classes.size((factor,)) > 1:
                        yield own[value], factor


def _experts(trace: HostTrace, factor: int, reader: str) -> Experts:
    """The experts of a factor.

    Raises:
        ValueError: If they are none, with the reason.
    """
    axes, steps, own = trace.axes, trace.program.steps, derived(trace)
    has = lambda value: bool(axes.holding(value, factor))
    if has(trace.stream):
        raise ValueError("the host's input has them")
    if axes.classes.segments(factor) is not None:
        raise ValueError("they are put together from parts")
    products = [
        step
        for step in steps
        if step.name == "dot_general"
        and any(v in own and len(v.shape) > 2 and has(v) for v in step.inputs)
    ]
    reached = {*products, *descendants(products, steps)}
    core = [step for step in steps if step in reached and any(map(has, step.inputs))]
    ends = [step for step in core if not any(map(has, step.outputs))]
    weights = {end: weights_of(trace, core, end, has) for end in ends}
    used = {value for values in weights.values() for value in values}
    router = ancestors(used, steps)
    known = {*used, *(value for step in router for value in step.outputs)}
    for step in steps:  # a bias of each expert, which the weights reach alone
        bias = step.name == "dot_general" and step not in {*core, *router}
        if bias and any(map(has, step.inputs)) and not any(map(has, step.outputs)):
            ends.append(step)
            weights[step] = tuple(v for v in step.inputs if v in known)
    inside = _with_inputs(trace, {*core, *ends}, router, has)
    late = descendants(ends, steps)
    found = Experts(
        trace=trace,
        factor=factor,
        reader=reader,
        ends=frozenset(ends),
        before=tuple(step for step in steps if step not in {*inside, *late}),
        inside=tuple(step for step in steps if step in inside),
        after=tuple(step for step in steps if step in late and step not in inside),
        entangled=any(step in late for step in inside),
        weights=tuple(weights[end] for end in ends),
    )
    _check(found, has)
    return found


def weights_of(
    trace: HostTrace, core: Sequence[Step], end: Step, has: Holds
) -> tuple[Value, ...]:
    """Returns the values that multiply what a step makes of the experts.

    Args:
        trace: The host's call.
        core: Steps that depend on the parameters of experts.
        end: The last of them.
        has: Whether a value is of the kind that may weigh experts.
    """
    made = {value: step for step in core for value in step.outputs}
    own, found, step = derived(trace), list[Value](), end
    while step.name in _LINEAR and not (step.name == "div" and step.inputs[1] in made):
        outside = [v for v in step.inputs if v not in made and v not in own]
        found += [v for v in outside if v.known is None and has(v)]
        inner = [value for value in step.inputs if value in made]
        if len(inner) != 1:
            break
        step = made[inner[0]]
    return tuple(found)


def _with_inputs(
    trace: HostTrace, inside: set[Step], router: set[Step], has: Holds
) -> set[Step]:
    """Adds the steps that only make what experts read: inputs of each expert."""
    steps, own, inside = trace.program.steps, derived(trace), set(inside)
    readers: dict[Value, list[Step]] = {}
    for step in steps:
        for value in step.inputs:
            readers.setdefault(value, []).append(step)
    for step in reversed(steps):
        if step in router or any(value in own for value in step.outputs):
            continue
        read_by = [s for value in step.outputs for s in readers.get(value, ())]
        alone = all(s in inside for s in read_by) and bool(read_by)
        if alone and any(map(has, step.outputs)) and step.inputs:
            inside.add(step)
    return inside


def _check(experts: Experts, has: Holds):
    """Raises a ValueError if experts cannot be told apart, with the reason."""
    trace, inside = experts.trace, set(experts.inside)
    axes, factor = trace.axes, experts.factor
    made = {value for step in inside for value in step.outputs}
    if any(value in made and has(value) for value in trace.program.outputs):
        raise ValueError("the host's result has them")
    for step in experts.ends:
        if step.name not in ("dot_general", "reduce_sum"):
            raise ValueError(f"{step.name} ends the experts")
        for i, value in enumerate(step.inputs):
            over = step.params["axes"] if i == 0 and step.name == "reduce_sum" else None
            over = contracted(step, i) if over is None else over
            if has(value) and not {*axes.holding(value, factor)} <= {*over}:
                raise ValueError(f"{step.name} sums over them and others alike")
    if experts.entangled:
        raise ValueError("a sum over the experts decides about the experts")
    steps = {axes.step_of(step): step for step in inside - experts.ends}
    for lock in axes.classes.locks(factor):
        if lock.step in steps and lock.reason not in (NUMBERED, DRAWN):
            raise ValueError(lock.reason)
    if not experts.weights or not all(experts.weights):
        raise ValueError("nothing that the host computes of its input weighs them")
