"""A host's own call as a program: its state and its arguments in, its results out."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
from flax import nnx

from dynsparse._internal.paths import path_name
from dynsparse._internal.structure import Structure
from dynsparse.layers.trace.axes import indexing, loops, moves, products
from dynsparse.layers.trace.axes.axes import Axes
from dynsparse.layers.trace.program.evaluate import read, run
from dynsparse.layers.trace.program.program import Program, Value, program_of

_RULES = {**indexing.RULES, **loops.RULES, **moves.RULES, **products.RULES}
_HOST, _ARGS, _KWARGS = range(3)  # first part of the path of an input


@dataclasses.dataclass(frozen=True, eq=False)
class HostTrace:
    """The program of one call of a host.

    Attributes:
        program: From state and arguments to the results and what state has changed.
        axes: Axes of the program's values.
        paths: Where each input of the program comes from.
        names: Keyword arguments, in the order of the call.
        tree: How the results are put together; arrays stand for themselves.
        static: Results that are no arrays, by their place among all.
        changed: Inputs of the program that are state and that the call changes.
    """

    program: Program
    axes: Axes
    paths: tuple[tuple, ...]
    names: tuple[str, ...]
    tree: Any
    static: Mapping[int, Any]
    changed: tuple[int, ...]

    @property
    def results(self) -> tuple[Value, ...]:
        """Arrays that the call returns."""
        outputs = self.program.outputs
        return outputs[: len(outputs) - len(self.changed)]

    @property
    def parameters(self) -> dict[str, Value]:
        """Arrays of the host, by their path in it."""
        pairs = zip(self.paths, self.program.inputs, strict=True)
        return {path_name(p[1:]): value for p, value in pairs if p[0] == _HOST}

    @property
    def arguments(self) -> list[Value]:
        """Arrays that the host is called with, in the order of the call."""
        pairs = list(zip(self.paths, self.program.inputs, strict=True))
        given = [value for path, value in pairs if path[0] == _ARGS]
        for name in self.names:
            given += [value for p, value in pairs if p[:2] == (_KWARGS, name)]
        return given

    @property
    def stream(self) -> Value:
        """The argument that decisions are about: the first of features.

        Raises:
            ValueError: If the host is called without features.
        """
        for value in self.arguments:
            if jnp.issubdtype(value.dtype, jnp.floating) and len(value.shape) > 1:
                return value
        shapes = [value.shape for value in self.arguments]
        raise ValueError(
            f"it is called with arrays of shapes {shapes}, none of which is one of "
            f"features, [batch, *axes, width]."
        )


class HostCall:
    """One call of a host, taken apart into arrays and what is static.

    Args:
        host: Any module.
        args: Positional arguments, whatever they are.
        kwargs: Keyword arguments.

    Raises:
        ValueError: If the call cannot be traced.
    """

    def __init__(self, host: Any, args: Sequence[Any], kwargs: Mapping[str, Any]):
        self._parts = (host, list(args), dict(kwargs))
        with without_captures(host):
            structure, state = Structure.split(self._parts)
        leaves, form = _flat(state)
        self.arrays = [jnp.asarray(leaf) for leaf in leaves]
        kinds = tuple((tuple(map(_known, x.shape)), x.dtype) for x in self.arrays)
        self.trace = _trace(structure, form, kinds, tuple(kwargs), _settings())

    def inputs(self) -> dict[Value, Any]:
        """Returns the arrays of the program's inputs."""
        return dict(zip(self.trace.program.inputs, self.arrays, strict=True))

    @functools.cached_property
    def resized(self) -> dict[int, int]:
        """Lengths of factors that are not those of the trace: of none or of symbols.

        Raises:
            ValueError: If such an axis is split into several.
        """
        axes, found = self.trace.axes, dict[int, int]()
        for value, array in self.inputs().items():
            for axis, size in zip(axes.of(value), array.shape, strict=True):
                if size == axes.classes.size(axis):
                    continue
                factors = axes.classes.factors(axis)
                if len(factors) != 1:
                    raise ValueError(f"an axis of length {size} cannot be split.")
                found[factors[0]] = size
        return found

    def value_of(self, array: Any) -> Value:
        """Returns the input of the program that an array of the call is."""
        (place, *_) = (i for i, own in enumerate(self.arrays) if own is array)
        return self.trace.program.inputs[place]

    @property
    def changes(self) -> bool:
        """Whether the call changes state other than its random streams."""
        kinds = {
            tuple(path): type(variable)
            for path, variable in nnx.to_flat_state(nnx.state(self._parts))
        }
        changed = [kinds[self.trace.paths[i]] for i in self.trace.changed]
        return not all(issubclass(kind, nnx.RngState) for kind in changed)

    def run(self) -> Any:
        """Runs the program of the call, as it was traced."""
        program, axes = self.trace.program, self.trace.axes
        values = run(program.steps, self.inputs(), axes, self.resized)
        return self.finish([read(values, v) for v in program.outputs])

    def finish(self, outputs: Sequence[Any]) -> Any:
        """Writes changed state back and returns the result of the call.

        Args:
            outputs: Arrays of the program's outputs.
        """
        trace, count = self.trace, len(self.trace.results)
        if trace.changed:
            paths = [trace.paths[i] for i in trace.changed]
            state = list(zip(paths, outputs[count:], strict=True))
            nnx.update(self._parts, nnx.from_flat_state(state))
        arrays = iter(outputs[:count])
        total = count + len(trace.static)
        leaves = [
            trace.static[i] if i in trace.static else next(arrays) for i in range(total)
        ]
        return jax.tree.unflatten(trace.tree, leaves)


_SOME = 2  # examples of a trace where there are none, or a number that is a symbol


def _known(size: Any) -> int:
    """The length of an axis in a trace."""
    return size if isinstance(size, int) and size else _SOME


_SETTINGS = (
    "default_matmul_precision",
    "default_prng_impl",
    "enable_x64",
    "numpy_dtype_promotion",
    "threefry_partitionable",
)


@functools.lru_cache(maxsize=1 << 10)
def _trace(
    structure: Structure,
    form: Any,
    kinds: tuple[Any, ...],
    names: tuple[str, ...],
    settings: tuple[Any, ...],
) -> HostTrace:
    """Traces a call; once for all hosts and arguments of the same structure."""
    del settings  # a trace under others is another one
    told: dict[str, Any] = {}

    def call(leaves):
        parts = structure.merge(_state(form, leaves))
        host, args, kwargs = parts
        results, told["tree"] = jax.tree.flatten(host(*args, **kwargs))
        after, form_after = _flat(nnx.state(parts))
        if form_after != form:
            raise ValueError("a call adds variables to it (sow) or takes some away.")
        static = {i: x for i, x in enumerate(results) if not hasattr(x, "dtype")}
        arrays = [x for i, x in enumerate(results) if i not in static]
        told["static"], told["count"] = static, len(arrays)
        return arrays, after

    shapes = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in kinds]
    closed = jax.make_jaxpr(call)(shapes)
    if any(isinstance(x, jax.core.Tracer) for x in closed.consts):
        raise ValueError("it reads an array of the function around it; pass it in.")
    program, count = program_of(closed), told["count"]
    after = program.outputs[count:]
    changed = tuple(
        i
        for i, (value, before) in enumerate(zip(after, program.inputs, strict=True))
        if value is not before
    )
    kept = (*program.outputs[:count], *(after[i] for i in changed))
    program = Program(program.inputs, program.steps, kept)
    return HostTrace(
        program=program,
        axes=Axes(program, _RULES),
        paths=tuple(path for path, tree in form for _ in range(tree.num_leaves)),
        names=names,
        tree=told["tree"],
        static=told["static"],
        changed=changed,
    )


def _settings() -> tuple[Any, ...]:
    """The global settings of JAX that become a part of what is traced."""
    return tuple(getattr(jax.config, f"jax_{name}") for name in _SETTINGS)


@contextlib.contextmanager
def without_captures(host: Any) -> Iterator[None]:
    """Context in which `nnx.capture` has put nothing into the modules of a host."""
    found = [
        (module, vars(module)["__captures__"])
        for _, module in nnx.iter_modules(host)
        if hasattr(module, "__captures__")
    ]
    for module, _ in found:  # past the checks of Flax: nothing that lasts changes
        object.__delattr__(module, "__captures__")
    try:
        yield
    finally:
        for module, captures in found:
            object.__setattr__(module, "__captures__", captures)


def _flat(state: Any) -> tuple[list[Any], tuple]:
    """Arrays of a state, and what is left: the path and the tree of each variable."""
    pairs = [(tuple(path), jax.tree.flatten(x)) for path, x in nnx.to_flat_state(state)]
    form = tuple((path, tree) for path, (_, tree) in pairs)
    return [leaf for _, (leaves, _) in pairs for leaf in leaves], form


def _state(form: Any, leaves: Sequence[Any]) -> Any:
    """The state of some arrays: the inverse of `_flat`."""
    rest, pairs = iter(leaves), []
    for path, tree in form:
        own = [next(rest) for _ in range(tree.num_leaves)]
        pairs.append((path, jax.tree.unflatten(tree, own)))
    return nnx.from_flat_state(pairs)
