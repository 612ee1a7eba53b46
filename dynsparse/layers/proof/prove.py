"""Checks on one call that a layer gives what its host gives, units open and closed."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from dynsparse._internal.paths import path_name
from dynsparse.gates import Gate, GateOutput, evaluating
from dynsparse.layers.base.arguments import split
from dynsparse.layers.base.gated_layer import GatedLayer
from dynsparse.layers.rows.blocks import GatedBlock
from dynsparse.layers.rows.host_tokens import HostTokens
from dynsparse.layers.rows.tokens import GatedTokens
from dynsparse.layers.trace.program.listen import HeardCall
from dynsparse.layers.trace.rows.examples import Batch
from dynsparse.layers.trace.units.experts import ExpertsOfCall
from dynsparse.layers.trace.units.run_units import UnitsOfCall
from dynsparse.layers.units.gated_units import GatedUnits, units_of
from dynsparse.layers.units.width import GatedWidth

_ERROR = 3e-5  # of an answer, in float32

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Pair = tuple[str, Any, Any]  # when, what the layer gives, what it should give


def prove(layer: GatedLayer, call: HeardCall):
    """Proves that a gated layer computes what its host computes.

    With every unit open the layer must give what the host gives, its gradients and
    what it keeps included. With some units closed the two executions must agree; where
    units of the host are gated, with the host whose parameters are zero at closed
    units; where examples skip it, with what the open ones give.

    Args:
        layer: Around a copy of the host whose weights may have moved a little, so that
            what starts at zero shows.
        call: A call of the host.

    Raises:
        ValueError: If the layer computes something else, with the reason.
    """
    words: list[str] = []
    graphdef, state = nnx.split(evaluating(layer))

    def answers(state, arguments):  # one program: operation by operation is slower
        new = lambda: nnx.merge(graphdef, state, copy=True)
        pairs = list(_pairs(new, HeardCall(call.form, arguments).arguments))
        words[:] = [when for when, _, _ in pairs]
        return [(split(got)[0], split(want)[0]) for _, got, want in pairs]

    found = jax.jit(answers)(state, call.state)
    error = _tolerance(state, call.state, found)
    for when, (got, want) in zip(words, found, strict=True):
        _check_same(got, want, error, when)


def _pairs(
    new: Callable[[], Any], arguments: Callable[[], Arguments]
) -> Iterator[Pair]:
    """Pairs of answers that must be equal, and when."""

    def run(part: Any) -> Any:
        args, kwargs = arguments()
        result = part(*args, **kwargs)
        return result[0] if isinstance(part, GatedTokens) else result

    layer = new()
    yield (
        "with every unit open",
        run(nnx.view(layer, execution="dense")),
        run(new().host),
    )
    if isinstance(layer, GatedUnits):
        args, kwargs = arguments()
        found = units_of(layer, args, kwargs)
        yield from _units(layer, found, run)
        if isinstance(found, ExpertsOfCall):
            used = (found.routed() > 0).astype(jnp.float32)
            yield (
                "without the experts that its router weighs by 0",
                found.weighed(used),
                run(new().host),
            )
    if isinstance(layer, GatedWidth):
        return
    decided = layer.decision_shape(layer.features(*arguments()))
    ones = jnp.ones(decided)
    opened, host = _deciding(new(), ones), new().host
    yield "with a mask of ones", run(opened), run(host)
    yield "in the state it leaves", _kept(opened.host), _kept(host)
    if isinstance(layer, GatedUnits | HostTokens):
        yield "in gradients with a mask of ones", *_slopes(new, ones, arguments)
    mask = _drawn(decided)
    masked = run(_deciding(new(), mask))
    if not isinstance(layer, GatedBlock) or cast(Batch, layer.batch).pure:
        few = nnx.view(_deciding(new(), mask), execution="compact", capacity_steps=2)
        yield "in compact execution with some units closed", run(few), masked
    if isinstance(layer, GatedBlock):
        arrays, _ = split(arguments())
        yield "with some examples closed", masked, _skipped(layer, arrays, run, mask)


def _kept(host: Any) -> Any:
    """What a host keeps from call to call, its random streams aside."""
    return nnx.to_pure_dict(nnx.state(host, nnx.Not(nnx.Any(nnx.Param, nnx.RngState))))


def _units(
    layer: GatedUnits, found: UnitsOfCall, run: Callable[[Any], Any]
) -> Iterator[Pair]:
    """Pairs for units of a host, of which the first half is open in all rows."""
    total, parts = found.units.num_units, layer.num_units
    opened = np.arange(total) < total // parts * max(1, parts // 2)
    weights = jnp.tile(jnp.asarray(opened, jnp.float32), (found.rows.count, 1))
    masked = found.weighed(weights)
    if isinstance(layer, GatedWidth):
        yield (
            "in compact execution with the first units",
            found.first(int(opened.sum())),
            masked,
        )
    else:
        found.check_apart()
    readers = found.units.readers
    if readers is None:  # parameters that are computed from others
        return
    absent = nnx.clone(layer.host)
    for path, variable in nnx.to_flat_state(nnx.state(absent)):
        name = path_name(path)
        if name in readers:
            places = found.units.places(name, np.flatnonzero(~opened))
            index = (*[slice(None)] * readers[name], places)
            variable[...] = variable[...].at[index].set(0)
    yield "with parameters of closed units at zero", masked, run(absent)


def _slopes(
    new: Callable[[], Any], ones: Array, arguments: Callable[[], Arguments]
) -> tuple[Any, Any]:
    """Gradients of the layer with every unit open, and of its host."""
    graphdef, params, rest = nnx.split(new().host, nnx.Param, ...)
    arrays, put = split(arguments())
    moving = [jnp.issubdtype(x.dtype, jnp.inexact) for x in arrays]

    def opened(host: Any, args: Any, kwargs: Any) -> Any:
        layer = _deciding(new(), ones)
        layer.host = host
        return layer(*args, **kwargs)

    def slope(call: Callable[..., Any]) -> Any:
        def loss(params, floats):
            given = iter(floats)
            args, kwargs = put(
                [
                    next(given) if moves else x
                    for x, moves in zip(arrays, moving, strict=True)
                ]
            )
            host = nnx.merge(graphdef, params, rest, copy=True)
            results, _ = split(call(host, args, kwargs))
            return sum(_sum(y) for y in results if jnp.issubdtype(y.dtype, jnp.inexact))

        floats = [x for x, moves in zip(arrays, moving, strict=True) if moves]
        return jax.tree.leaves(jax.grad(loss, (0, 1))(params, floats))

    return slope(opened), slope(lambda host, args, kwargs: host(*args, **kwargs))


def _sum(y: Array) -> Float[Array, ""]:
    """A sum in which no two entries weigh the same."""
    weights = jnp.cos(jnp.arange(y.size, dtype=jnp.float32)).reshape(y.shape)
    return (y.astype(jnp.float32) * weights).sum()


def _skipped(
    layer: GatedBlock, arrays: Sequence[Array], run: Callable[[Any], Any], mask: Array
) -> Any:
    """What the host gives for open examples, and the layer for closed ones."""
    results, put = split(run(layer.host))
    batch, given = cast(Batch, layer.batch), []
    for x, axis, source in zip(results, batch.results, batch.closed, strict=True):
        opened = mask[:, 0].reshape([-1 if i == axis else 1 for i in range(x.ndim)]) > 0
        closed = jnp.zeros_like(x) if source is None else arrays[source]
        given.append(jnp.where(opened, x, closed))
    return put(given)


class _Given(Gate):
    """Gate whose decision is given, with the same count in each row."""

    count = "fixed"

    def __init__(self, mask: Array):
        self.mask = nnx.Variable(mask)
        self.deterministic = True
        self.opened = int(mask.reshape(-1, mask.shape[-1])[0].sum())

    def static_count(self, total: int) -> int | None:
        """Returns the units of each row that are open."""
        return self.opened

    def __call__(self, scores: Float[Array, "..."]) -> GateOutput:
        return GateOutput(self.mask[...], self.mask[...])


class _GivenOne(_Given):
    """The same of one unit, which is open in some rows and closed in others."""

    count = "varying"

    def static_count(self, total: int) -> int | None:
        """Returns None: the row decides."""
        return None


class _NoScores(nnx.Module):
    """Scorer for a gate that does not need one."""

    reads_input = False
    forbids = False

    def __init__(self, num_units: int):
        self.num_units = num_units

    def __call__(self, features: Array) -> Array:
        return jnp.zeros((*features.shape[:-1], self.num_units))


def _deciding(layer: Any, mask: Array) -> Any:
    gate = _GivenOne if mask.shape[-1] == 1 else _Given
    layer.gate, layer.scorer = gate(mask), _NoScores(layer.num_units)
    layer.shift = None
    return layer


def _drawn(shape: Sequence[int]) -> Float[Array, "..."]:
    """A decision with half of the units open, others in the first row than the last."""
    *rows, units = shape
    random, total = np.random.default_rng(2), math.prod(rows)
    if units == 1:  # half of the rows
        order = np.r_[total - 1, 1 + random.permutation(max(total - 2, 0)), 0][-total:]
        return jnp.asarray(order < round(total / 2), jnp.float32).reshape(shape)
    order = np.stack([random.permutation(units) for _ in range(total)])
    order[-1] = np.arange(units)
    order[0] = np.arange(units)[::-1]  # in other places, once the first ones left
    return jnp.asarray(order < round(units / 2), jnp.float32).reshape(shape)


def _tolerance(*trees: Any) -> float:
    """Largest relative gap of equal answers, in the coarsest type that occurs."""
    types = {x.dtype for x in jax.tree.leaves(trees) if hasattr(x, "dtype")}
    floats = [kind for kind in types if jnp.issubdtype(kind, jnp.floating)]
    return max([_ERROR, *(8 * float(jnp.finfo(kind).eps) for kind in floats)])


def _check_same(got: Sequence[Any], want: Sequence[Any], error: float, when: str):
    """Raises a ValueError if two answers differ."""
    shapes = [[(x.shape, x.dtype) for x in arrays] for arrays in (got, want)]
    if shapes[0] != shapes[1]:
        texts = [[f"{d}{list(s)}" for s, d in each] for each in shapes]
        raise ValueError(
            f"{when} the gated module would give {texts[0]}, but the module gives "
            f"{texts[1]}."
        )
    for one, other in zip(got, want, strict=True):
        if not jnp.issubdtype(one.dtype, jnp.number):
            continue
        a, b = (np.asarray(jax.device_get(x)).astype(np.float64) for x in (one, other))
        scale = np.abs(b).max(initial=0, where=np.isfinite(b))
        if not np.allclose(a, b, rtol=0, atol=error * scale, equal_nan=True):
            gap = np.nanmax(np.abs(a - b)) / scale if scale else np.inf
            raise ValueError(
                f"{when} the gated module's answer would differ from the module's, by "
                f"{gap:.2g} of it."
            )
