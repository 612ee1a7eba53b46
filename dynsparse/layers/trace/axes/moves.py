"""Rules of axes for operations that move, map or make entries."""

from collections.abc import Sequence

from dynsparse.layers.trace.axes.axes import DRAWN, NUMBERED, Axes, Rule
from dynsparse.layers.trace.axes.same_axes import Axis
from dynsparse.layers.trace.program.program import Step

_ELEMENTWISE = frozenset(
    [
        "abs",
        "acos",
        "acosh",
        "add",
        "add_any",
        "and",
        "asin",
        "asinh",
        "atan",
        "atan2",
        "atanh",
        "bessel_i0e",
        "bessel_i1e",
        "cbrt",
        "ceil",
        "clamp",
        "clz",
        "complex",
        "conj",
        "convert_element_type",
        "copy",
        "copy_p",
        "cos",
        "cosh",
        "device_put",
        "digamma",
        "div",
        "eq",
        "erf",
        "erf_inv",
        "erfc",
        "exp",
        "exp2",
        "expm1",
        "floor",
        "ge",
        "gt",
        "igamma",
        "igammac",
        "imag",
        "integer_pow",
        "is_finite",
        "le",
        "lgamma",
        "log",
        "log1p",
        "logistic",
        "lt",
        "max",
        "min",
        "mul",
        "name",
        "ne",
        "neg",
        "nextafter",
        "not",
        "optimization_barrier",
        "or",
        "population_count",
        "pow",
        "real",
        "reduce_precision",
        "rem",
        "round",
        "rsqrt",
        "select_n",
        "sharding_constraint",
        "shift_left",
        "shift_right_arithmetic",
        "shift_right_logical",
        "sign",
        "sin",
        "sinh",
        "sqrt",
        "square",
        "stop_gradient",
        "sub",
        "tan",
        "tanh",
        "xor",
    ]
)


def _elementwise(known: Axes, step: Step):
    (result,) = step.outputs if len(step.outputs) == 1 else step.outputs[:1]
    for value, given in zip(step.inputs, step.outputs, strict=False):
        if len(step.outputs) > 1:  # optimization_barrier: one by one
            known.same(known.of(value), known.of(given))
    for value in step.inputs if len(step.outputs) == 1 else ():
        if len(value.shape) == len(result.shape):
            known.same(known.of(value), known.of(result))


def _broadcast(known: Axes, step: Step):
    value, (result,) = step.inputs[0], step.outputs
    into = [known.of(result)[i] for i in step.params["broadcast_dimensions"]]
    known.same(known.of(value), into)


def _reshape(known: Axes, step: Step):
    value, (result,) = step.inputs[0], step.outputs
    if 0 in value.shape:
        known.lock_all(step.inputs, "reshape of nothing")
        return
    left = [axis for axis in known.of(value) if known.classes.size(axis) != 1]
    right = [axis for axis in known.of(result) if known.classes.size(axis) != 1]
    whole = lambda axes: tuple(factor for axis in axes for factor in axis)
    known.classes.same(whole(left), whole(right))


def _transpose(known: Axes, step: Step):
    axes = known.of(step.inputs[0])
    moved = [axes[i] for i in step.params["permutation"]]
    known.same(moved, known.of(step.outputs[0]))


def _squeeze(known: Axes, step: Step):
    axes = enumerate(known.of(step.inputs[0]))
    left = [axis for i, axis in axes if i not in step.params["dimensions"]]
    known.same(left, known.of(step.outputs[0]))


def _concatenate(known: Axes, step: Step):
    along, (result,) = step.params["dimension"], step.outputs
    pieces = [known.of(value) for value in step.inputs]
    for axes in pieces:
        for i, axis in enumerate(axes):
            if i != along:
                known.same([axis], [known.of(result)[i]])
    known.same([known.of(result)[along]], [_joined(known, [p[along] for p in pieces])])


def _split(known: Axes, step: Step):
    along, axes = step.params["axis"], known.of(step.inputs[0])
    places = [0]
    for size in step.params["sizes"]:
        places.append(places[-1] + int(size))
    pieces = known.classes.cut(axes[along], places)
    for result, piece in zip(step.outputs, pieces, strict=True):
        known.same([*axes[:along], piece, *axes[along + 1 :]], known.of(result))


def _slice(known: Axes, step: Step):
    params, axes = step.params, known.of(step.inputs[0])
    strides = params["strides"] or [1] * len(axes)
    bounds = zip(params["start_indices"], params["limit_indices"], strict=True)
    for axis, other, stride, (start, end) in zip(
        axes, known.of(step.outputs[0]), strides, bounds, strict=True
    ):
        size = known.classes.size(axis)
        if stride != 1:
            _every(known, axis, other, start, stride)
        elif end - start == size:
            known.same([axis], [other])
        else:
            places = sorted({0, start, end, size})
            piece = known.classes.cut(axis, places)[places.index(start)]
            known.same([piece], [other])


def _every(known: Axes, axis: Axis, part: Axis, start: int, stride: int):
    """Every second entry of an axis, say: that axis counts pairs of them."""
    count, rest = divmod(known.classes.size(axis), stride)
    if rest or start >= stride or known.classes.size(part) != count:
        known.classes.lock(axis, "a slice with a stride")
        return
    outer = known.classes.new(count)
    known.classes.same(axis, (*outer, *known.classes.new(stride)))
    known.classes.same(outer, part)


def _stack(known: Axes, step: Step):
    along, result = step.params["axis"], known.of(step.outputs[0])
    left = [axis for i, axis in enumerate(result) if i != along]
    for value in step.inputs:
        known.same(known.of(value), left)


def _unstack(known: Axes, step: Step):
    axes, along = known.of(step.inputs[0]), step.params["axis"]
    known.classes.lock(axes[along], "unstack along it")
    for result in step.outputs:
        known.same([*axes[:along], *axes[along + 1 :]], known.of(result))


def _pad(known: Axes, step: Step):
    value, (result,) = step.inputs[0], step.outputs
    for axis, other in zip(known.of(value), known.of(result), strict=True):
        if known.classes.size(axis) == known.classes.size(other):
            known.same([axis], [other])
        else:
            known.classes.lock(axis, "padding along it")


def _tile(known: Axes, step: Step):
    result = known.of(step.outputs[0])
    pairs = zip(known.of(step.inputs[0]), result, step.params["reps"], strict=True)
    for axis, other, times in pairs:
        if times == 1:
            known.same([axis], [other])
        elif known.classes.size(axis) > 1:
            known.classes.same(other, (*known.classes.new(times), *axis))


def _iota(known: Axes, step: Step):
    axis = known.of(step.outputs[0])[step.params["dimension"]]
    if step not in known.places.counts:
        known.classes.lock(axis, NUMBERED)


def _random(known: Axes, step: Step):
    for result in step.outputs:
        for axis in known.of(result):
            known.classes.lock(axis, DRAWN)


def _joined(known: Axes, axes: Sequence[Axis]) -> Axis:
    return known.classes.joined([a for a in axes if known.classes.size(a)])


def _nothing(known: Axes, step: Step):
    """A random key: it has no axes that stand for anything else."""
    del known, step


RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    "bitcast_convert_type": _elementwise,
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "iota": _iota,
    "pad": _pad,
    "random_bits": _random,
    "random_fold_in": _nothing,
    "random_seed": _nothing,
    "random_split": _nothing,
    "random_unwrap": _nothing,
    "random_wrap": _nothing,
    "reshape": _reshape,
    "slice": _slice,
    "split": _split,
    "squeeze": _squeeze,
    "stack": _stack,
    "tile": _tile,
    "transpose": _transpose,
    "unstack": _unstack,
}
