"""Tokens of a host that attends: closed ones are left out wherever it sums."""

import dataclasses
import functools
from collections.abc import Sequence

from dynsparse.layers.trace.axes.axes import NUMBERED
from dynsparse.layers.trace.program.evaluate import Sizes
from dynsparse.layers.trace.program.host_call import HostTrace
from dynsparse.layers.trace.program.program import Step, Value

_ALONG = {  # what may stand between a sum and the division by it
    *("add", "broadcast_in_dim", "convert_element_type", "reshape", "select_n"),
    *("eq", "ge", "gt", "le", "lt", "max", "ne"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of a host, and the steps of its program that have them.

    What depends on no argument with tokens (places, masks and tables made inside) is
    computed whole, and goes with its tokens.

    Attributes:
        trace: The host's call.
        batch: Factor of the examples; None where there is one example.
        factor: Factor of the tokens.
        before: Steps that depend on no tokens.
        moving: Steps that do.
    """

    trace: HostTrace
    batch: int | None
    factor: int
    before: tuple[Step, ...]
    moving: tuple[Step, ...]

    @property
    def outside(self) -> list[Value]:
        """Values that the moving steps read and do not make."""
        made = {value for step in self.moving for value in step.outputs}
        given = dict.fromkeys(value for step in self.moving for value in step.inputs)
        return [value for value in given if value not in made]

    def pieces(self, value: Value, axis: int, sizes: Sizes | None = None) -> list[int]:
        """Computes how long what stands before, as and behind the tokens is.

        Args:
            value: Has tokens along an axis, maybe beside others, such as registers.
            axis: Index of the axis.
            sizes: New lengths of factors.

        Raises:
            ValueError: If tokens are joined with another axis otherwise.
        """
        classes = self.trace.axes.classes
        (first, *more) = classes.factors(self.trace.axes.of(value)[axis])
        row = [(first,)] if first == self.factor else classes.segments(first) or ()
        parts = [classes.factors(piece) for piece in row]
        if more or (self.factor,) not in parts:
            raise ValueError("the tokens are joined with another axis")
        place = parts.index((self.factor,))
        long = [classes.size(piece, dict(sizes or {})) for piece in parts]
        return [sum(long[:place]), long[place], sum(long[place + 1 :])]


@functools.lru_cache(maxsize=1 << 8)
def find_tokens(trace: HostTrace) -> Tokens:
    """Finds the tokens of a host: the second axis of its input.

    Args:
        trace: A call with two tokens or more.

    Raises:
        ValueError: If the host mixes tokens otherwise than by attention, with the
            reason, or returns more than one array.
    """
    axes = trace.axes
    factors = [axes.classes.factors(axis) for axis in axes.of(trace.stream)[:2]]
    sizes = [axes.classes.size(axis) for axis in axes.of(trace.stream)[:2]]
    if len(trace.stream.shape) != 3 or sizes[1] < 2:
        raise ValueError(
            f"its input has the shape {list(trace.stream.shape)}; tokens are told from "
            f"[batch, tokens, width] with two tokens or more"
        )
    if any(len(own) != 1 for own in factors):
        raise ValueError("the tokens are split into several axes")
    (factor,) = factors[1]
    batch = factors[0][0] if sizes[0] > 1 else None
    known = {v for v in trace.arguments if axes.holding(v, factor)}
    moving = []
    for step in trace.program.steps:
        if any(value in known for value in step.inputs) or _fills(trace, step, factor):
            moving.append(step)
            known.update(step.outputs)
    before = [step for step in trace.program.steps if step not in set(moving)]
    shapes = [value.shape for value in trace.results]
    if len(shapes) != 1 or shapes[0] != trace.stream.shape:
        texts = [list(shape) for shape in shapes]
        raise ValueError(
            f"tokens bypass hosts that give one array of their input's shape, "
            f"{list(trace.stream.shape)}; it gives {texts}"
        )
    tokens = Tokens(trace, batch, factor, tuple(before), tuple(moving))
    _check_mixing(tokens)
    return tokens


def _fills(trace: HostTrace, step: Step, factor: int) -> bool:
    """Whether a step fills an axis that tokens share with others, as with zeros."""
    axes = trace.axes
    if step.name != "broadcast_in_dim" or axes.any_holding(step.inputs, factor):
        return False
    (result,) = step.outputs
    own = [axes.of(result)[i] for i in axes.holding(result, factor)]
    return any(len(axes.classes.factors(axis)) > 1 for axis in own)


def _check_mixing(tokens: Tokens):
    """Raises a ValueError if tokens are mixed otherwise than by attention."""
    trace, axes = tokens.trace, tokens.trace.axes
    if trace.changed:
        raise ValueError("it changes its own state")
    if axes.classes.segments(tokens.factor) is not None:
        raise ValueError("the tokens are cut into segments")
    steps = {axes.step_of(step): step for step in tokens.moving}
    for lock in axes.classes.locks(tokens.factor):
        step = steps.get(lock.step)
        if step is None or lock.reason == NUMBERED or step.name == "reduce_max":
            continue  # places go with their tokens
        softmax = step.name == "reduce_sum"
        if not softmax or not _divides(step.outputs[0], tokens.moving):
            raise ValueError(f"tokens are mixed by other means ({lock.reason})")
    for lock in () if tokens.batch is None else axes.classes.locks(tokens.batch):
        if lock.step in steps:
            raise ValueError(f"examples depend on each other ({lock.reason})")
    outside = tokens.outside
    for step in tokens.moving:
        if any(value in outside for value in summed_over(tokens, step)):
            raise ValueError("tokens are mixed by parameters or places")
        if step.bodies and axes.any_holding(step.inputs, tokens.factor):
            for body in step.bodies:
                if any(inner.name in ("dot_general", "scan") for inner in body.steps):
                    raise ValueError(f"{step.name} may mix tokens")
        for value in step.inputs if reduced(tokens, step)[1] is not None else ():
            for i in axes.holding(value, tokens.factor):
                tokens.pieces(value, i)
    for value in outside:
        for i in axes.holding(value, tokens.factor):
            tokens.pieces(value, i)
        for i in [] if tokens.batch is None else axes.holding(value, tokens.batch):
            if axes.classes.factors(axes.of(value)[i]) != (tokens.batch,):
                raise ValueError("the examples are joined with another axis")


def summed_over(tokens: Tokens, step: Step) -> list[Value]:
    """Returns operands of a product that sums over tokens."""
    if step.name != "dot_general":
        return []
    contracted, _ = step.params["dimension_numbers"]
    return [
        value
        for value, own in zip(step.inputs, contracted, strict=True)
        if set(own) & set(tokens.trace.axes.holding(value, tokens.factor))
    ]


def _divides(value: Value, steps: Sequence[Step]) -> bool:
    """Whether a sum is the denominator of a softmax, and nothing else."""
    readers = [step for step in steps if value in step.inputs]
    return bool(readers) and all(
        (step.name == "div" and step.inputs[1] is value and step.inputs[0] is not value)
        or (step.name in _ALONG and _divides(step.outputs[0], steps))
        for step in readers
    )


def reduced(tokens: Tokens, step: Step) -> tuple[int, int | None]:
    """Returns the operand of a step to weigh, and its axis of tokens if it sums."""
    axes, operand, over = tokens.trace.axes, 0, ()
    if step.name in ("reduce_max", "reduce_sum"):
        over = step.params["axes"]
    for value in summed_over(tokens, step):
        if tokens.batch is None or axes.holding(value, tokens.batch):
            operand = step.inputs.index(value)
            over = step.params["dimension_numbers"][0][operand]
    held = axes.holding(step.inputs[operand], tokens.factor) if over else []
    return operand, next((axis for axis in held if axis in over), None)
