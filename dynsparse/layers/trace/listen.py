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

Path = tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class HeardCall:
    """One call of a module, as it was heard.

    Attributes:
        form: Structure of its arguments.
        state: Arrays of its arguments, as `nnx.split` gives them.
    """

    form: Any
    state: Any

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Makes the positional and the keyword arguments."""
        args, kwargs = nnx.merge(self.form, self.state, copy=True)
        return tuple(args), dict(kwargs)


class _Listener(nnx.Module):
    """A module in its place that tells how it is called."""

    def __init__(self, host: Any, tell: Callable[..., None]):
        self.host: Any = host
        self.tell = tell

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.tell(self.host, args, kwargs)
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
    graphdef, state = nnx.split(model)
    forms: dict[Path, Any] = {}
    reasons: dict[Path, str] = dict.fromkeys(places, "the example never calls it")

    def run(state, example):
        heard: dict[Path, Any] = {}
        outside = get_opaque_trace_state(convention="nnx")
        copy = nnx.merge(graphdef, state, copy=True)
        for path in reversed(places):

            def tell(host, args, kwargs, path=path):
                inside = get_opaque_trace_state(convention="nnx") != outside
                reason = _reason(part_at(model, path), host, inside, path in heard)
                if reason is None:
                    parts = (list(args), dict(kwargs))
                    forms[path], heard[path] = nnx.split(parts)
                    reasons.pop(path, None)
                else:
                    reasons[path] = reason

            listener = _Listener(part_at(copy, path), tell)
            if not path:
                copy = listener
                continue
            try:
                put_at(copy, path, listener)
            except ValueError as error:  # it stands where nothing can be put
                reasons[path] = str(error)
        example(copy)
        return heard

    heard = (jax.jit(run) if values else _shapes(run))(state, example)
    calls = {
        path: HeardCall(form, heard[path])
        for path, form in forms.items()  # in the order of their calls
        if path not in reasons
    }
    return calls, reasons


def _shapes(run: Callable[..., Any]) -> Callable[..., Any]:
    """The shapes that a function gives, for arrays or shapes."""
    return lambda *args: jax.eval_shape(run, *args)


def _reason(host: Any, called: Any, inside: bool, again: bool) -> str | None:
    """Reason why a module that is called in this way cannot be gated, or None."""
    shapes = lambda part: [jnp.shape(x) for x in jax.tree.leaves(nnx.state(part))]
    if shapes(host) != shapes(called):
        count = next((shape[0] for shape in shapes(host) if shape), 0)
        return (
            f"its weights are stacked, {count} layers for one nnx.scan or nnx.vmap, "
            f"which cannot be gated; give each layer a module of its own"
        )
    if inside:
        return (
            "it is called inside of a transformation (scan, vmap, checkpoint), where "
            "its decisions would be lost; gate the module around it"
        )
    if again:
        return "it is called twice; one gate cannot decide for both calls"
    return None
