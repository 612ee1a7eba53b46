"""How the modules of a model are called when the model runs."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.extend.core import get_opaque_trace_state

from dynsparse._internal.call import Call
from dynsparse._internal.paths import part_at, put_at
from dynsparse.gates import capture
from dynsparse.layers.trace.program.host_call import without_captures

Path = tuple[Any, ...]

_NEVER = "the example never calls it"
_LOST = (
    "it is called inside of a transformation (scan, vmap, checkpoint), or as a copy, "
    "where its decisions would be lost; gate the module around it, or run it by "
    "nnx.scan or nnx.remat, which hand back what is sown"
)
_VMAPPED = (
    "it is called inside of a transformation, vmap, where no layer can be skipped: all "
    "run at once"
)
_NESTED = "it is stacked twice, for a scan inside of a scan; gate the module around it"
_TWICE = "it is called twice; one gate cannot decide for both calls"


@dataclasses.dataclass(frozen=True)
class HeardCall:
    """One call of a module, as it was heard.

    Attributes:
        form: Structure of its arguments.
        state: Arrays of its arguments, as `nnx.split` gives them.
        layers: Layers that the module stacks, of which this is the call of the first;
            None where it is one layer.
        inside: Whether it is called inside of a transformation, such as `nnx.scan`.
    """

    form: Any
    state: Any
    layers: int | None = None
    inside: bool = False

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Makes the positional and the keyword arguments."""
        args, kwargs = nnx.merge(self.form, self.state, copy=True)
        return tuple(args), dict(kwargs)


class _Heard(nnx.Variable):
    """Arrays of a call, and a zero that is stacked wherever they are."""


class _Listener(nnx.Module):
    """A module in its place that tells how it is called."""

    def __init__(self, host: Any, tell: Callable[..., None]):
        self.host: Any = host
        self.tell = tell

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.tell(self, args, kwargs)
        return self.host(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("host", "tell"):
            raise AttributeError(name)
        return getattr(self.host, name)


def listen(
    model: Any, places: Sequence[Path], example: Call, *, values: bool = True
) -> tuple[dict[Path, HeardCall], dict[Path, str]]:
    """Runs a model once, and hears how some of its modules are called.

    Args:
        model: Does not change.
        places: Paths of the modules, outer ones first.
        example: How the model is called.
        values: Whether to run the model; otherwise arguments are shapes.

    Returns:
        The calls of the modules that can be gated, in order, and why others cannot.
    """
    try:
        return _listen(model, places, example, values, deep=True)
    except Exception:  # one of its transformations may let no module sow
        return _listen(model, places, example, values, deep=False)


def _listen(
    model: Any, places: Sequence[Path], example: Call, values: bool, *, deep: bool
) -> tuple[dict[Path, HeardCall], dict[Path, str]]:
    """Hears what is called inside of transformations as well, if `deep`."""
    graphdef, state = nnx.split(model)
    forms: dict[Path, tuple[Any, Any, bool]] = {}
    layers: dict[Path, int | None] = {}
    reasons: dict[Path, str] = {}

    def run(state, example):
        outside = get_opaque_trace_state(convention="nnx")
        copy = nnx.merge(graphdef, state, copy=True)
        own: dict[Path, _Listener] = {}
        for place, path in reversed(list(enumerate(places))):

            def tell(listener, args, kwargs, path=path, name=str(place)):
                inside = get_opaque_trace_state(convention="nnx") != outside
                with without_captures((listener.host, args, kwargs)):
                    form, arrays = nnx.split((list(args), dict(kwargs)))
                    reason = _reason(part_at(model, path), listener.host)
                if inside and (not deep or listener is own[path]):
                    reason = _LOST
                if reason is not None:
                    reasons.setdefault(path, reason)
                    return
                leaves, tree = jax.tree.flatten(arrays)
                forms[path] = form, tree, inside
                listener.sow(_Heard, name, (leaves, jnp.zeros(())))

            own[path] = listener = _Listener(part_at(copy, path), tell)
            if not path:
                copy = listener
                continue
            try:
                put_at(copy, path, listener)
            except ValueError as error:  # it stands where nothing can be put
                reasons[path] = str(error)
        _, captured = example(capture(copy, _Heard))
        heard: dict[Path, list[Any]] = {}
        for (*_, place), variable in nnx.to_flat_state(captured):
            path = places[int(str(place))]
            (arrays, zero), *others = variable.get_value()
            if others:
                reasons.setdefault(path, _TWICE)
            elif zero.ndim > 1:
                reasons.setdefault(path, _NESTED)
            layers[path] = len(zero) if zero.ndim else None
            heard[path] = [x[0] for x in arrays] if zero.ndim else arrays
        return heard

    heard = (jax.jit(run) if values else _shapes(run))(state, example)
    for path in places:
        if path not in heard:
            reasons.setdefault(path, _LOST if path in forms else _NEVER)
    calls = {}
    for path, (form, tree, inside) in forms.items():  # in the order of their calls
        if path not in reasons:
            state = jax.tree.unflatten(tree, heard[path])
            calls[path] = HeardCall(form, state, layers[path], inside)
    return calls, reasons


def _shapes(run: Callable[..., Any]) -> Callable[..., Any]:
    """The shapes that a function gives, for arrays or shapes."""
    return lambda *args: jax.eval_shape(run, *args)


def _reason(module: Any, called: Any) -> str | None:
    """Reason why a module that is called in this way cannot be gated, or None.

    Args:
        module: As it stands in the model.
        called: As it is called: one layer of it, where it is a stack.
    """
    state = nnx.state(called)
    if _is_mapped(state):
        return _VMAPPED
    shapes = lambda state: [jnp.shape(x) for x in jax.tree.leaves(state)]
    whole, part = shapes(nnx.state(module)), shapes(state)
    axes = max([0, *(len(a) - len(b) for a, b in zip(whole, part, strict=False))])
    stacks = {a[:axes] for a in whole}
    if [a[axes:] for a in whole] != part or (axes and len(stacks) > 1):
        return (
            f"its arrays are of shapes {whole}, of which a call sees {part}; layers of "
            f"one scan need all of their arrays stacked, along the first axis"
        )
    return _NESTED if axes > 1 else None


def _is_mapped(tree: Any) -> bool:
    """Whether some array of a tree is one of many that `jax.vmap` runs at once."""
    told: list[int] = []

    @jax.custom_batching.custom_vmap
    def look(tree):
        return tree

    @look.def_vmap
    def _(size, batched, tree):
        told.append(size)
        return tree, batched[0]

    look(tree)
    return bool(told)
