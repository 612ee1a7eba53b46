"""Operations that sum over axes, or run along them."""

from dynsparse.layers.trace.axes.axes import Axes, Rule
from dynsparse.layers.trace.program.program import Step

_REDUCTIONS = frozenset(
    [
        "argmax",
        "argmin",
        "reduce_and",
        "reduce_max",
        "reduce_min",
        "reduce_or",
        "reduce_prod",
        "reduce_sum",
        "reduce_xor",
    ]
)
_ALONG = frozenset(
    ["cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum", "rev", "sort", "top_k"]
)


def _product(known: Axes, step: Step):
    left, right = map(known.of, step.inputs)
    (contracted, others), (batch, same) = step.params["dimension_numbers"]
    known.same([left[i] for i in contracted], [right[i] for i in others])
    known.same([left[i] for i in batch], [right[i] for i in same])
    free = [left[i] for i in range(len(left)) if i not in {*contracted, *batch}]
    free += [right[i] for i in range(len(right)) if i not in {*others, *same}]
    known.same([left[i] for i in batch] + free, known.of(step.outputs[0]))


def _convolution(known: Axes, step: Step):
    (x, kernel), result = map(known.of, step.inputs), known.of(step.outputs[0])
    spec, groups = step.params["dimension_numbers"], step.params
    groups, batches = groups["feature_group_count"], groups["batch_group_count"]
    batch, features, *space = spec.lhs_spec
    outputs, inputs, *_ = spec.rhs_spec
    if batches > 1:
        known.lock_all(step.inputs, "a convolution with groups of examples")
        return
    known.same([x[batch]], [result[spec.out_spec[0]]])
    group = known.classes.new(groups)  # depthwise: as many as there are channels
    each = known.classes.new(known.classes.size(kernel[outputs]) // groups)
    known.classes.same(x[features], (*group, *kernel[inputs]))
    known.classes.same(kernel[outputs], (*group, *each))
    known.same([kernel[outputs]], [result[spec.out_spec[1]]])
    for i, j in zip(space, spec.out_spec[2:], strict=True):
        # The place of a pixel stays its place where no pixel is left out.
        window = known.classes.size(kernel[spec.rhs_spec[2 + space.index(i)]])
        known.same([x[i]], [result[j]])
        if window > 1 or known.classes.size(x[i]) != known.classes.size(result[j]):
            known.classes.lock(x[i], "a convolution along it")


def _window(known: Axes, step: Step):
    """A pool: windows along some axes, the others stay."""
    value, (result,) = step.inputs[0], step.outputs
    sizes = step.params["window_dimensions"]
    for axis, other, size in zip(known.of(value), known.of(result), sizes, strict=True):
        if size == 1:
            known.same([axis], [other])
        else:
            known.classes.lock(axis, "a pool along it")


def _reduction(known: Axes, step: Step):
    value, over = step.inputs[0], step.params["axes"]
    axes = known.of(value)
    for i in over:
        known.classes.lock(axes[i], f"{step.name} over it")
    left = [axis for i, axis in enumerate(axes) if i not in over]
    for result in step.outputs:
        known.same(left, known.of(result))


def _along(known: Axes, step: Step):
    params = step.params
    along = {params[k] for k in ("axis", "dimension", "operand_axis") if k in params}
    along |= set(params.get("dimensions", ()))
    for value in step.inputs:
        axes = known.of(value)
        for i in {i % max(len(axes), 1) for i in along} if axes else ():
            known.classes.lock(axes[i], f"{step.name} along it")
        for result in step.outputs:
            if len(result.shape) == len(axes):
                known.same(axes, known.of(result))


def _transform(known: Axes, step: Step):
    """A Fourier transform: of the last axes, for each entry of the others."""
    (value,), (result,) = step.inputs, step.outputs
    count = len(value.shape) - len(step.params["fft_lengths"])
    for axis in (*known.of(value)[count:], *known.of(result)[count:]):
        known.classes.lock(axis, "a Fourier transform along it")
    known.same(known.of(value)[:count], known.of(result)[:count])


RULES: dict[str, Rule] = {
    **dict.fromkeys(_ALONG, _along),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    "conv_general_dilated": _convolution,
    "dot_general": _product,
    "fft": _transform,
    "reduce_window_max": _window,
    "reduce_window_min": _window,
    "reduce_window_sum": _window,
}
