"""What of a model can be gated, and what cannot, and why."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

import jax
from flax import nnx

from dynsparse._internal.call import call
from dynsparse._internal.paths import part_at, path_name
from dynsparse.costs.macs import count_jaxpr, count_macs
from dynsparse.gates import evaluating
from dynsparse.layers.rules.scanned import first_layer
from dynsparse.layers.trace.program.host_call import HostCall
from dynsparse.layers.trace.program.listen import HeardCall, Path, listen
from dynsparse.layers.trace.rows.examples import find_batch
from dynsparse.layers.trace.rows.rows import Rows
from dynsparse.layers.trace.units.find_experts import experts_of
from dynsparse.layers.trace.units.find_units import Kind, find_units
from dynsparse.layers.trace.units.run_units import UnitsOfCall

_KINDS: dict[str, Kind | Literal["experts"]] = {
    "channels": "channels",
    "experts": "experts",
    "heads": "split",
    "neurons": "any",
}
_LONGEST_REASON = 72  # characters


@dataclasses.dataclass(frozen=True)
class Gateable:
    """A module, or some of a kind, and one way to gate it.

    Attributes:
        path: Pattern of the paths, in which * stands for numbers.
        count: How many modules that is, layers of a scan counted one by one.
        granularity: A granularity of `GRANULARITIES`.
        units: Units of each module; 0 where there are none.
        macs: MACs of one example that closing all units of all modules saves.
        share: The same, as a fraction of the MACs of the model.
        note: The parameter that reads the units, or why there are none.
    """

    path: str
    count: int
    granularity: str
    units: int
    macs: int
    share: float
    note: str


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What of a model can be gated; printed, a table.

    Attributes:
        macs: MACs of one example.
        rows: One for each kind of module and granularity.
    """

    macs: int
    rows: tuple[Gateable, ...]

    def __str__(self) -> str:
        table: list[tuple[str, ...]] = [
            ("module", "granularity", "units", "MACs", "share", "read by, or why")
        ]
        for row in self.rows:
            path = row.path or "(the model)"
            name = f"{path} ({row.count})" if row.count > 1 else path
            cells = (f"{row.units:,}", f"{row.macs:,}", f"{row.share:.0%}")
            cells = cells if row.units else ("-", "-", "-")
            table.append((name, row.granularity, *cells, row.note))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = []
        for cells in table:
            pairs = enumerate(zip(cells, widths, strict=True))
            texts = [c.rjust(n) if 1 < i < 5 else c.ljust(n) for i, (c, n) in pairs]
            lines.append("  ".join(texts).rstrip())
        return "\n".join([*lines, f"the model: {self.macs:,} MACs for one example"])


def explain(model: nnx.Module, *args: Any, **kwargs: Any) -> Explanation:
    """Says for each module of a model how it can be gated, or why not.

    Nothing is run: the model is traced once, and each module as it is called. Modules
    whose paths differ in numbers alone share a row.

    Args:
        model: Any model.
        *args: Its arguments, as in `costs.bill`, with two examples or more; shapes
            (`jax.ShapeDtypeStruct`) will do.
        **kwargs: Its keyword arguments.

    Example:
        >>> class Mlp(nnx.Module):
        ...     def __init__(self, rngs):
        ...         self.up = nnx.Linear(4, 16, rngs=rngs)
        ...         self.down = nnx.Linear(16, 4, rngs=rngs)
        ...
        ...     def __call__(self, x):
        ...         return x + self.down(jax.nn.silu(self.up(x)))
        >>> model = nnx.Sequential(Mlp(nnx.Rngs(0)), Mlp(nnx.Rngs(1)))
        >>> found = layers.explain(model, jnp.ones((2, 3, 4)))
        >>> for row in found.rows[2:4]:
        ...     print(row.path, row.count, row.granularity, row.units, row.macs)
        layers/* 2 blocks 1 768
        layers/* 2 neurons 16 768
    """
    example = call(*args, **kwargs).shapes()
    model = evaluating(model)
    total = count_macs(model, example.one_example())
    parts = nnx.iter_modules(model)
    paths = sorted((tuple(path) for path, part in parts if _worth(part)), key=len)
    calls, reasons = listen(model, paths, example, values=False)
    groups: dict[tuple, list[Gateable]] = {}
    for path in paths:
        host, heard = part_at(model, path), calls.get(path)
        if heard is None:
            rows = [Gateable("", 1, "any", 0, 0, 0.0, _short(reasons[path]))]
        elif heard.layers is None:
            rows = list(_rows(host, heard, example.num_examples))
        else:
            of_first = _rows(first_layer(host), heard, example.num_examples)
            rows = [row for row in of_first for _ in range(heard.layers)]
        for row in rows:
            row = dataclasses.replace(row, path=_pattern(path))
            groups.setdefault((row.path, row.granularity), []).append(row)
    merged = (_merged(rows, total) for rows in groups.values())
    return Explanation(total, tuple(row for rows in merged for row in rows))


def _worth(part: Any) -> bool:
    """Whether a module may have something to gate: no single layer of Flax has."""
    single = type(part).__module__.startswith("flax.")
    return callable(part) and not (
        single and len(list(nnx.iter_modules(cast(Any, part)))) == 1
    )


def _rows(host: Any, heard: HeardCall, batch: int) -> Iterator[Gateable]:
    """One row for each granularity of a module."""
    dense = _macs(HostCall.run, host, heard) // batch
    found = _looked_at(_skipped, host, heard)
    yield Gateable("", 1, "blocks", int(found is None), dense, 0.0, found or "")
    readers: set[tuple[str, bool]] = set()
    for granularity, kind in _KINDS.items():
        look = functools.partial(_units, kind=kind)
        try:
            reader, units, apart = _looked_at(look, host, heard)
        except ValueError as error:
            if kind == "any":
                yield Gateable("", 1, granularity, 0, 0, 0.0, _short(str(error)))
            continue
        found = reader, kind == "experts"
        if found in readers:
            continue
        readers.add(found)
        closed = functools.partial(_closed, kind=kind)
        saved = dense - _macs(closed, host, heard) // batch
        name = granularity if apart is None else "width"
        note = reader if apart is None else f"{reader} ({granularity}: {apart})"
        yield Gateable("", 1, name, units, saved, 0.0, _short(note))


def _looked_at(look: Callable[[HostCall], Any], host: Any, heard: HeardCall) -> Any:
    """What a function finds in a call of a module, for shapes alone."""
    found: list[Any] = []

    def run(state: Any) -> int:
        args, kwargs = HeardCall(heard.form, state).arguments()
        found.append(look(HostCall(host, args, kwargs)))
        return 0

    jax.eval_shape(run, heard.state)
    return found[0]


def _skipped(call: HostCall) -> str | None:
    """Why examples cannot skip a module, or None."""
    try:
        find_batch(call.trace, call.trace.arguments, None)
    except ValueError as error:
        return _short(str(error))
    return None


def _found(call: HostCall, kind: Kind | Literal["experts"]) -> UnitsOfCall:
    if kind == "experts":
        return experts_of(call, None)
    rows = Rows.leading(call.trace.axes, call.trace.stream, 1)
    return UnitsOfCall(call, find_units(call.trace, None, kind), rows)


def _closed(call: HostCall, kind: Any) -> Any:
    """Runs a module with all of its units closed."""
    return _found(call, kind).first(0)


def _units(call: HostCall, kind: Any) -> tuple[str, int, str | None]:
    """Who reads the units of a call, their number, why rows cannot differ in them."""
    names = {step.name for step in call.trace.program.steps}
    if kind == "channels" and "conv_general_dilated" not in names:
        raise ValueError("no convolution")
    found = _found(call, kind)
    found.check_rows()
    try:
        found.check_apart()
    except ValueError as error:
        if kind == "experts":
            raise
        return found.units.reader, found.units.num_units, str(error)
    return found.units.reader, found.units.num_units, None


def _macs(run: Any, host: Any, heard: HeardCall) -> int:
    """MACs of a call of a module, with dead code."""

    def function(state: Any) -> Any:
        args, kwargs = HeardCall(heard.form, state).arguments()
        return run(HostCall(host, args, kwargs))

    jaxpr = jax.make_jaxpr(function)(heard.state).jaxpr
    return sum(count_jaxpr(jaxpr, while_bound=None).values())


def _pattern(path: Path) -> str:
    """A path with * in place of its numbers."""
    return path_name("*" if str(part).isdigit() else part for part in path)


def _short(text: str) -> str:
    text = text.removeprefix("no units were found (").removesuffix(").")
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 3]}..."


def _merged(rows: list[Gateable], total: int) -> Iterator[Gateable]:
    """Rows of one pattern and granularity, those that are alike as one."""
    alike: dict[tuple, list[Gateable]] = {}
    for row in rows:
        alike.setdefault((row.units, row.macs, row.note), []).append(row)
    for (_, macs, _), same in alike.items():
        count = len(same)
        share = macs * count / total if total else 0.0
        yield dataclasses.replace(same[0], count=count, macs=macs * count, share=share)
