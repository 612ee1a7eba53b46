"""Operations that call programs: loops, branches, functions with own derivatives."""

from collections.abc import Sequence

from dynsparse.layers.trace.axes.axes import Axes, Rule
from dynsparse.layers.trace.program.program import Program, Step, Value, scan_sizes


def _call(known: Axes, step: Step):
    (body,) = step.bodies
    _inside(known, body, step.inputs)
    for inner, result in zip(body.outputs, step.outputs, strict=True):
        known.same(known.of(inner), known.of(result))


def _inside(known: Axes, body: Program, inputs: Sequence[Value | None]):
    """Follows a program that is called with these values."""
    for inner, value in zip(body.inputs, inputs, strict=True):
        if value is not None:
            known.same(known.of(inner), known.of(value))
    for step in body.steps:
        known.follow(step)


def _scan(known: Axes, step: Step):
    (body,) = step.bodies
    fixed, carried = scan_sizes(step)
    whole = fixed + carried
    _inside(known, body, [*step.inputs[:whole], *[None] * (len(step.inputs) - whole)])
    links = list(zip(body.inputs[whole:], step.inputs[whole:], strict=True))
    links += zip(body.outputs[carried:], step.outputs[carried:], strict=True)
    for inner, value in links:
        along, *axes = known.of(value)
        known.classes.lock(along, "a scan along it")
        known.same(known.of(inner), axes)
    for inner, start, end in zip(
        body.outputs[:carried],
        step.inputs[fixed:whole],
        step.outputs[:carried],
        strict=True,
    ):
        known.same(known.of(inner), known.of(start))
        known.same(known.of(inner), known.of(end))


def _while(known: Axes, step: Step):
    condition, body = step.bodies
    asked, used = step.params["cond_nconsts"], step.params["body_nconsts"]
    carry = step.inputs[asked + used :]
    _inside(known, condition, [*step.inputs[:asked], *carry])
    _inside(known, body, [*step.inputs[asked : asked + used], *carry])
    for start, inner, end in zip(carry, body.outputs, step.outputs, strict=True):
        known.same(known.of(start), known.of(inner))
        known.same(known.of(start), known.of(end))


def _cond(known: Axes, step: Step):
    for body in step.bodies:
        _inside(known, body, step.inputs[1:])
        for inner, result in zip(body.outputs, step.outputs, strict=True):
            known.same(known.of(inner), known.of(result))


RULES: dict[str, Rule] = {
    "cond": _cond,
    "custom_jvp_call": _call,
    "custom_vjp_call": _call,
    "scan": _scan,
    "while": _while,
}
