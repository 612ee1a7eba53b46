"""A traced program as one list of steps, its calls inlined."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

# Calls that change nothing of what is computed, and the parameter with their program.
_INLINED = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
}
# Calls that stay whole, for the sake of their derivatives or of their loops.
_BODIES = {
    "custom_jvp_call": ("call_jaxpr",),
    "custom_vjp_call": ("call_jaxpr",),
    "scan": ("jaxpr",),
    "while": ("cond_jaxpr", "body_jaxpr"),
}


class Value:
    """A value of a program: an input, a constant or the result of a step.

    Attributes:
        shape: Its shape.
        dtype: Its type.
        known: The array, where it is a constant; else None.
    """

    def __init__(self, aval: Any, known: Any = None):
        self.shape: tuple[int, ...] = tuple(aval.shape)
        self.dtype = aval.dtype
        self.known = known

    @property
    def numbered(self) -> list[int]:
        """Axes along which the entries of a constant differ."""
        if self.known is None or not jnp.issubdtype(self.dtype, jnp.number):
            return []
        array = np.asarray(jax.device_get(self.known))
        sizes = enumerate(self.shape)
        return [i for i, n in sizes if n > 1 and (array != array.take([0], i)).any()]


@dataclasses.dataclass(frozen=True)
class Program:
    """Steps from inputs to outputs.

    Attributes:
        inputs: What it reads.
        steps: In the order in which they run.
        outputs: What it returns.
    """

    inputs: tuple[Value, ...]
    steps: tuple["Step", ...]
    outputs: tuple[Value, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """One operation.

    Attributes:
        equation: The equation of the jaxpr.
        inputs: What it reads.
        outputs: What it gives.
        bodies: Programs that it calls: the loop of a scan, the branches of a cond.
        debug_info: Of the jaxpr that it stands in.
    """

    equation: Any
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    bodies: tuple[Program, ...] = ()
    debug_info: Any = None

    @property
    def name(self) -> str:
        """Name of the operation."""
        return self.equation.primitive.name

    @property
    def params(self) -> dict[str, Any]:
        """Parameters of the operation."""
        return self.equation.params


def scan_sizes(step: Step) -> tuple[int, int]:
    """Computes how many inputs of a scan are the same in each turn, and how many carry.

    Args:
        step: A scan; what it runs along has one axis more outside than in its body.
    """
    (body,) = step.bodies
    alike = lambda pairs: sum(len(a.shape) == len(b.shape) for a, b in pairs)
    carried = alike(zip(body.outputs, step.outputs, strict=True))
    return alike(zip(body.inputs, step.inputs, strict=True)) - carried, carried


def descendants(ends: Iterable[Step], steps: Sequence[Step]) -> set[Step]:
    """Returns the steps that depend on the results of some steps.

    Args:
        ends: Some steps.
        steps: All steps, in order.
    """
    known, found = {value for step in ends for value in step.outputs}, set()
    for step in steps:
        if any(value in known for value in step.inputs):
            found.add(step)
            known.update(step.outputs)
    return found


def ancestors(values: Iterable[Value], steps: Sequence[Step]) -> set[Step]:
    """Returns the steps that some values depend on.

    Args:
        values: Some values.
        steps: All steps, in order.
    """
    wanted, found = set(values), set()
    for step in reversed(steps):
        if any(value in wanted for value in step.outputs):
            found.add(step)
            wanted.update(step.inputs)
    return found


def program_of(closed: ClosedJaxpr) -> Program:
    """Makes the program of a jaxpr.

    Args:
        closed: From `jax.make_jaxpr`.
    """
    inputs = tuple(Value(variable.aval) for variable in closed.jaxpr.invars)
    steps: list[Step] = []
    outputs = _inline(closed, inputs, steps)
    return Program(inputs, tuple(steps), outputs)


def _inline(
    closed: ClosedJaxpr | Jaxpr, inputs: Sequence[Value], steps: list[Step]
) -> tuple[Value, ...]:
    """Adds the steps of a jaxpr for these inputs; returns its outputs."""
    jaxpr: Any = getattr(closed, "jaxpr", closed)
    constants = getattr(closed, "consts", ())
    values: dict[Any, Value] = dict(zip(jaxpr.invars, inputs, strict=True))
    for variable, array in zip(jaxpr.constvars, constants, strict=True):
        values[variable] = Value(variable.aval, array)
    known = lambda atom: Value(atom.aval, atom.val)
    read = lambda atom: known(atom) if isinstance(atom, Literal) else values[atom]
    for equation in jaxpr.eqns:
        name, read_by = equation.primitive.name, tuple(map(read, equation.invars))
        if name in _INLINED:
            given = _inline(equation.params[_INLINED[name]], read_by, steps)
        else:
            given = tuple(Value(variable.aval) for variable in equation.outvars)
            debug = jaxpr.debug_info.with_unknown_names()
            steps.append(Step(equation, read_by, given, _bodies(equation), debug))
        values.update(zip(equation.outvars, given, strict=True))
    return tuple(map(read, jaxpr.outvars))


def _bodies(equation: Any) -> tuple[Program, ...]:
    name, params = equation.primitive.name, equation.params
    called = params["branches"] if name == "cond" else ()
    called = called or [params[key] for key in _BODIES.get(name, ())]
    return tuple(map(program_of, called))
