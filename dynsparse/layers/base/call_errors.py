"""How gated layers are called, and their errors if they are called otherwise."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.errors import TraceContextError

from dynsparse._internal.paths import path_name
from dynsparse.gates import GateRecord


def told_in_words(call: Callable[..., Any]) -> Callable[..., Any]:
    """Makes the call of a gated layer refuse in words what it cannot take.

    Refused are arguments other than its own, which the host may have taken in the same
    place (flags, streams, caches, arrays other than the mask of open tokens); a host
    that changes its own state (counters, streams) or sows values for `nnx.capture` in a
    branch of compact execution, from which nothing but its output returns; and a batch
    of symbolic size where compact execution compiles for known sizes.

    Args:
        call: `__call__` or `step` of a gated layer.
    """
    signature = inspect.signature(call)
    takes_mask = list(signature.parameters)[2:3] == ["mask"]

    @functools.wraps(call)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        if takes_mask and args:
            _check_open_tokens(self, args[0], kwargs.get("mask", (*args, None)[1]))
        before = _captured(self)
        try:
            output = call(self, *args, **kwargs)
        except Exception as error:
            told = _in_words(error, self, signature, args, kwargs)
            if told is None:
                raise
            raise ValueError(
                f"{type(self).__name__} (unit: {self.unit}) around "
                f"{type(self.host).__name__}{told}."
            ) from error
        for name, value in _captured(self).items():
            if before.get(name) is not value:
                raise ValueError(
                    f"{type(self).__name__} (unit: {self.unit}) around "
                    f"{type(self.host).__name__} has captured {name!r} in compact "
                    f"execution, which runs the host on a part of its input and keeps "
                    f"nothing but its output; capture it in execution='masked'."
                )
        return output

    return checked


def _captured(layer: Any) -> dict[str, Any]:
    """Values that hosts sowed for `nnx.capture` in compact execution, by path."""
    if layer.execution != "compact" or not hasattr(layer, "__captures__"):
        return {}
    found = {}
    for path, module in nnx.iter_modules(layer.host):
        for sown in getattr(module, "__captures__", ()):
            if type(sown) is not GateRecord:  # records are spread over the input
                values = sown.get_value().items()
                found |= {path_name((*path, name)): value for name, value in values}
    return found


def check_norms(host: nnx.Module):
    """Refuses norms over the batch, of which compact execution computes a part.

    Args:
        host: Any module.

    Raises:
        ValueError: If a BatchNorm in it does not use its running average.
    """
    for path, module in nnx.iter_modules(host):
        if isinstance(module, nnx.BatchNorm) and not module.use_running_average:
            raise ValueError(
                f"compact execution skips a part of the batch, so that "
                f"{path_name(path)} needs its running average; view the model "
                f"with use_running_average=True (gates.evaluating does)."
            )


def _in_words(
    error: Exception, layer: Any, signature: inspect.Signature, args: Any, kwargs: Any
) -> str | None:
    """The end of a layer's own error, or None where `error` says enough."""
    if isinstance(error, TypeError):
        try:
            signature.bind(layer, *args, **kwargs)
        except TypeError as misfit:
            names = ", ".join(list(signature.parameters)[1:])
            return f" is called with ({names}): {misfit}"
    if layer.execution != "compact" or isinstance(error, ValueError):
        return None
    if isinstance(error, TraceContextError):
        reason = str(error).partition(" (")[0]
        return (
            f": compact execution runs the host in a branch, where it cannot change "
            f"its own state ({reason}); run execution='masked'"
        )
    shapes = [jnp.shape(x) for x in jax.tree.leaves(args)]
    symbolic = (shape for shape in shapes if not all(isinstance(n, int) for n in shape))
    sizes = next(symbolic, None)
    if sizes is None:
        return None
    return (
        f": this compact execution is compiled for known sizes, got {sizes}; "
        f"export a program for each, or execution='masked'"
    )


def _check_open_tokens(layer: Any, x: Any, mask: Any):
    """Raises a ValueError if a second argument is no mask of open tokens."""
    shape = getattr(mask, "shape", None)
    if mask is not None and shape != x.shape[:2]:
        got = type(mask).__name__ if shape is None else f"shape {list(shape)}"
        raise ValueError(
            f"{type(layer).__name__} (unit: {layer.unit}) takes the mask of open "
            f"tokens, {list(x.shape[:2])}, as its second argument, got {got}."
        )
