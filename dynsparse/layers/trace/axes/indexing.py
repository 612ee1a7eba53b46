"""Operations that read or write a part, at places that run time tells."""

from dynsparse.layers.trace.axes.axes import Axes, Rule
from dynsparse.layers.trace.axes.own_places import IN_PLACE
from dynsparse.layers.trace.axes.same_axes import Axis
from dynsparse.layers.trace.program.program import Step

_SCATTERS = ("scatter", "scatter-add", "scatter-max", "scatter-min", "scatter-mul")


def _gather(known: Axes, step: Step):
    value, indices = step.inputs[:2]
    numbers, sizes = step.params["dimension_numbers"], step.params["slice_sizes"]
    axes, result = known.of(value), known.of(step.outputs[0])
    gone = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
    left = [i for i in range(len(axes)) if i not in gone]
    for i, j in zip(left, numbers.offset_dims, strict=True):
        if sizes[i] == known.classes.size(axes[i]) and i not in numbers.start_index_map:
            known.same([axes[i]], [result[j]])
        else:
            known.classes.lock(axes[i], "a look-up along it")
    for i in numbers.collapsed_slice_dims:
        column = (
            numbers.start_index_map.index(i) if i in numbers.start_index_map else -1
        )
        if not _in_place(known, step, axes[i], column):
            known.classes.lock(axes[i], "a look-up along it")
    pairs = zip(
        numbers.operand_batching_dims,
        numbers.start_indices_batching_dims,
        strict=True,
    )
    for i, j in pairs:
        known.same([axes[i]], [known.of(indices)[j]])
    others = [a for j, a in enumerate(result) if j not in numbers.offset_dims]
    known.same(known.of(indices)[:-1], others)


def _scatter(known: Axes, step: Step):
    value, indices, updates = map(known.of, step.inputs)
    numbers = step.params["dimension_numbers"]
    known.same(value, known.of(step.outputs[0]))
    gone = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    left = [i for i in range(len(value)) if i not in gone]
    for i, j in zip(left, numbers.update_window_dims, strict=True):
        if i in numbers.scatter_dims_to_operand_dims:
            known.classes.lock(updates[j], "it is a part of another")
        known.same([value[i]], [updates[j]])
    others = [a for j, a in enumerate(updates) if j not in numbers.update_window_dims]
    known.same(indices[:-1], others)
    batched = numbers.scatter_indices_batching_dims
    for i, j in zip(numbers.operand_batching_dims, batched, strict=True):
        known.same([value[i]], [indices[j]])
    for column, i in enumerate(numbers.scatter_dims_to_operand_dims):
        whole = i in numbers.inserted_window_dims
        if not (whole and _in_place(known, step, value[i], column)):
            known.classes.lock(value[i], "a part of it is read or written")
    own = {*known.places.columns.get(step, {}).values(), *batched}
    for j, axis in enumerate(indices[:-1]):
        if j not in own:
            known.classes.lock(axis, "it is written to any place")


def _in_place(known: Axes, step: Step, axis: Axis, column: int) -> bool:
    """Whether a column of indices counts along an axis: then it is one of theirs."""
    along = known.places.columns.get(step, {}).get(column)
    if along is None:
        return False
    own = known.of(step.inputs[1])[along]
    if known.classes.size(own) != known.classes.size(axis):
        return False
    known.same([axis], [own])
    known.classes.lock(axis, IN_PLACE)
    return True


def _slice_at(known: Axes, step: Step):
    """A slice, or the place of an update, that is known at run time alone."""
    value, (result,) = step.inputs[0], step.outputs
    update = step.name == "dynamic_update_slice"
    part = step.inputs[1] if update else result
    if update:
        known.same(known.of(value), known.of(result))
    for axis, other in zip(known.of(value), known.of(part), strict=True):
        if known.classes.size(axis) == known.classes.size(other):
            known.same([axis], [other])
        else:
            known.classes.lock(axis, "a part of it is read or written")
            known.classes.lock(other, "it is a part of another")


RULES: dict[str, Rule] = {
    **dict.fromkeys(_SCATTERS, _scatter),
    "dynamic_slice": _slice_at,
    "dynamic_update_slice": _slice_at,
    "gather": _gather,
}
