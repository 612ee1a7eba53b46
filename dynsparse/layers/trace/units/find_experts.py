"""Finds the experts of a host, also those that a loop of Python calls."""

import functools
from collections.abc import Iterator, Mapping, Sequence

from dynsparse.layers.trace.program.host_call import HostCall, HostTrace
from dynsparse.layers.trace.program.program import Step, Value, ancestors, descendants
from dynsparse.layers.trace.rows.rows import Rows
from dynsparse.layers.trace.units.experts import ExpertsOfCall, find_experts, weights_of
from dynsparse.layers.trace.units.find_units import derived
from dynsparse.layers.trace.units.looped import Entries, Expert, Loop, LoopOfCall


@functools.lru_cache(maxsize=1 << 10)
def find_loop(trace: HostTrace, reader: str | None) -> Loop | None:
    """Finds the experts of a loop, whose results the host weighs.

    Args:
        trace: The host's call.
        reader: Path of a parameter of an expert; None for the last loop.
    """
    for merge, results in _merged(trace):
        found = _loop(trace, merge, results)
        if found is not None and reader in (None, *found.entries):
            return found
    return None


def _merged(trace: HostTrace) -> Iterator[tuple[Step, list[Value]]]:
    """Values that are stacked, or added up, the last first."""
    made = {value: step for step in trace.program.steps for value in step.outputs}
    seen: set[Step] = set()
    for step in reversed(trace.program.steps):
        if step.name in ("stack", "concatenate"):
            yield step, list(step.inputs)
        elif step.name == "add" and step not in seen:
            found, stack = list[Value](), list(step.inputs)
            while stack:
                value = stack.pop()
                inner = made.get(value)
                if inner is not None and inner.name == "add":
                    seen.add(inner)
                    stack += inner.inputs
                else:
                    found.append(value)
            yield step, found[::-1]


def _loop(trace: HostTrace, merge: Step, values: Sequence[Value]) -> Loop | None:
    """The experts whose results some values are, if they are weighed."""
    steps, own = trace.program.steps, derived(trace)
    made = {value: step for step in steps for value in step.outputs}
    alike: dict[tuple, dict[Value, set[Step]]] = {}
    for value in values:
        region = _alone(trace, value)
        kernels = _kernels(region, own)
        if kernels:
            alike.setdefault(tuple(v.shape for v in kernels), {})[value] = region
    regions = max(alike.values(), key=len, default={})
    stacked = merge.name != "add"
    if len(regions) < 2 or (stacked and len(regions) < len(values)):
        return None
    if stacked:
        factor, weights = _stacked(trace, merge, len(regions))
    else:
        factor, added = -1, _added(trace, regions)
        regions = {value: regions[value] for value, by in added.items() if by}
        weights = [*filter(None, added.values())]
    if len(regions) < 2 or not weights or not all(weights):
        return None
    router = ancestors([v for values in weights for v in values], steps)
    regions = {value: region - router for value, region in regions.items()}
    late = descendants([made[value] for value in regions], steps)
    inside = set[Step]().union(*regions.values())
    if inside & late:
        return None  # an expert reads what another gives
    experts = tuple(
        Expert(
            trace=trace,
            factor=-1,
            reader=_last(trace, region),
            ends=frozenset([made[value]]),
            before=(),
            inside=tuple(s for s in steps if s in region),
            after=(),
            entangled=False,
        )
        for value, region in regions.items()
    )
    return Loop(
        trace=trace,
        factor=factor,
        reader=experts[-1].reader,
        ends=frozenset(),
        before=tuple(s for s in steps if s not in {*inside, *late}),
        inside=tuple(s for s in steps if s in inside),
        after=tuple(s for s in steps if s in late),
        entangled=False,
        weights=tuple(weights),
        experts=experts,
        results=tuple(regions),
        entries=_entries(trace, experts),
    )


def _last(trace: HostTrace, region: set[Step]) -> str:
    """The parameter that the last product of some steps reads."""
    own, steps = derived(trace), [s for s in trace.program.steps if s in region]
    names = [own[v] for s in steps for v in s.inputs if _kernels({s}, own) and v in own]
    return names[-1]


def _stacked(
    trace: HostTrace, merge: Step, count: int
) -> tuple[int, list[tuple[Value, ...]]]:
    """The axis along which results are stacked, and what weighs them after it."""
    steps, axes = trace.program.steps, trace.axes
    along = merge.params["axis" if merge.name == "stack" else "dimension"]
    held = axes.classes.factors(axes.of(merge.outputs[0])[along])
    if len(held) != 1 or axes.classes.size(held) != count:
        return -1, []
    has = lambda value: bool(axes.holding(value, held[0]))
    reached = descendants([merge], steps)
    core = [merge, *(s for s in steps if s in reached and any(map(has, s.inputs)))]
    ends = [step for step in core if not any(map(has, step.outputs))]
    if any(step.name not in ("dot_general", "reduce_sum") for step in ends):
        return -1, []
    return held[0], [weights_of(trace, core, end, has) for end in ends]


def _added(
    trace: HostTrace, regions: Mapping[Value, set[Step]]
) -> dict[Value, tuple[Value, ...]]:
    """What weighs each of some results before they are added up."""
    steps, axes, own = trace.program.steps, trace.axes, derived(trace)
    rows = Rows.leading(axes, trace.stream, len(trace.stream.shape) - 1)
    made = {value: step for step in steps for value in step.outputs}

    def one_for_each_row(value: Value) -> bool:
        held = [f for f in rows.expanded(value) if axes.classes.size((f,)) > 1]
        return bool(rows.of(value)) and {*held} <= {*rows.factors}

    found = {}
    for value, region in regions.items():
        products = [s for s in region if _kernels({s}, own)]
        core = region & {*products, *descendants(products, steps)}
        found[value] = weights_of(trace, [*core], made[value], one_for_each_row)
    return found


def _alone(trace: HostTrace, value: Value) -> set[Step]:
    """Steps that nothing but a value needs, which one step reads."""
    steps, found, wanted = trace.program.steps, set[Step](), {value}
    readers: dict[Value, set[Step]] = {}
    for step in steps:
        for own in step.inputs:
            readers.setdefault(own, set()).add(step)
    given = {*trace.program.outputs}
    if value in given or len(readers.get(value, ())) != 1:
        return found
    for step in reversed(steps):
        used = [own for own in step.outputs if own in wanted]
        if used and all(
            own is value or (readers[own] <= found and own not in given) for own in used
        ):
            found.add(step)
            wanted.update(step.inputs)
    return found


def _kernels(region: set[Step], own: dict[Value, str]) -> list[Value]:
    """Parameters that the products of some steps read, in order."""
    ordered = [step for step in region if step.name == "dot_general"]
    values = [value for step in ordered for value in step.inputs if value in own]
    return sorted(values, key=lambda value: (own[value], value.shape))


def _entries(trace: HostTrace, experts: Sequence[Expert]) -> Entries:
    """Where the parameters of each expert lie: a slice of one, or the whole of it."""
    names = {value: name for name, value in trace.parameters.items()}
    for step in trace.program.steps:
        if step.name == "convert_element_type" and step.inputs[0] in names:
            names[step.outputs[0]] = names[step.inputs[0]]
    found: dict[str, dict[int, tuple[int, int, int]]] = {}
    for i, expert in enumerate(experts):
        for step in expert.inside:
            for value in step.inputs:
                if value in names and value.shape:
                    axis, start, end = 0, 0, value.shape[0]
                    if step.name == "slice":
                        params, sizes = step.params, value.shape
                        bounds = zip(
                            params["start_indices"],
                            params["limit_indices"],
                            strict=True,
                        )
                        for j, (first, last) in enumerate(bounds):
                            if last - first < sizes[j]:
                                axis, start, end = j, first, last
                    found.setdefault(names[value], {})[i] = (axis, start, end)
    entries = {}
    for name, places in found.items():
        axes = {axis for axis, _, _ in places.values()}
        bounds = {i: (start, end) for i, (_, start, end) in places.items()}
        if len(axes) == 1 and len({*bounds.values()}) == len(bounds):
            entries[name] = (*axes, bounds)
    return entries


def experts_of(call: HostCall, reader: str | None) -> ExpertsOfCall:
    """Finds the experts of a call, stacked or in a loop; each row decides about them.

    Args:
        call: The call.
        reader: Path of a parameter of the experts; None for the last that will do.

    Raises:
        ValueError: If there are none, with the reason.
    """
    trace = call.trace
    count = len(trace.stream.shape) - 1
    rows = Rows.leading(trace.axes, trace.stream, count, call.resized)
    loop = find_loop(trace, reader)
    if loop is not None:
        return LoopOfCall(call, loop, rows)
    return ExpertsOfCall(call, find_experts(trace, reader), rows)
