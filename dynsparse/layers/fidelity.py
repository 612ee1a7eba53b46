"""Proof that a gated layer is the plain module that it was made from."""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dynsparse import ops
from dynsparse.gates import evaluating
from dynsparse.gates.hard_topk import HardTopk
from dynsparse.layers.base import GatedLayer
from dynsparse.layers.open_examples import OpenExamples
from dynsparse.layers.open_tokens import OpenTokens
from dynsparse.layers.parts import GatedParts
from dynsparse.layers.positions import GatedPositions
from dynsparse.layers.probe import Copies, fitting_inputs
from dynsparse.layers.tokens import GatedTokens
from dynsparse.layers.width import GatedWidth

Host = Any  # a module that is called with arrays
Make = Callable[[], Host]
Pair = tuple[str, Any, Any]  # when, what there is, what there should be


def prove(
    host: nnx.Module,
    make: Callable[[nnx.Module], tuple[GatedLayer, int]],
    *,
    rebuilt: bool,
    shape: tuple[int, ...] | None,
):
    """Proves on random inputs that a gated layer computes what its host computes.

    With every unit open the layer must give what the host gives, in evaluation and,
    where it is rebuilt from parts of the host, in training; with some units closed the
    open ones must give what they give alone. Tried on copies whose weights are moved a
    little, so that parts that start at zero, such as adapters, show; `host` itself does
    not change.

    Args:
        host: A plain module; its arrays may be traced or abstract.
        make: Builds the layer around a copy; also returns the features of its input
            or, for fields, the number of codes.
        rebuilt: Whether the layer is rebuilt from parts of the host.
        shape: Shape of one example of the input; None to try some.

    Raises:
        ValueError: If the layer computes something else, with the reason.
    """
    with _usual_settings():
        copies = Copies(host)
        layer, width = make(copies.new())
        _check_call(host, 2 if isinstance(layer, OpenTokens) else 1)
        if isinstance(layer, GatedPositions):
            raise ValueError(
                "the layer adds its input to the output of its host, which the model "
                "does not; build layers.GatedPositions in the model itself."
            )
        failure = None
        for x in fitting_inputs(layer, copies, width, shape):
            try:
                _prove(layer, copies, x, rebuilt=rebuilt)
            except ValueError as error:
                failure = failure or error
            else:
                return
            if not isinstance(layer, OpenExamples):
                break  # others fail where axes of one example pass for a batch
        if failure is not None:
            raise failure


@contextlib.contextmanager
def _usual_settings():
    """Context in which global settings of JAX do not decide what is accepted."""
    with (
        jax.ensure_compile_time_eval(),
        jax.default_matmul_precision("highest"),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        jax.debug_nans(False),
        jax.transfer_guard("allow"),
    ):
        yield


def _prove(layer: GatedLayer, copies: Copies, x: Any, *, rebuilt: bool):
    """Raises a ValueError if the layer differs from its host for this input."""
    graphdef, state = nnx.split(layer)
    words: list[str] = []

    def answers(plain, state, x):  # one program: operation by operation is slower
        new = lambda: nnx.merge(graphdef, state, copy=True)
        pairs = list(_pairs(lambda: copies.new(plain), new, x, rebuilt=rebuilt))
        words[:] = [when for when, _, _ in pairs]
        constant = _without_weights(layer, copies.new(plain, zero=True), x)
        return [(got, want) for _, got, want in pairs], constant

    found, constant = jax.jit(answers)(copies.state, state, x)
    for when, (got, want) in zip(words, found, strict=True):
        _check_same(got, want, copies.tolerance(x), when)
    if constant is not None:
        _check_skip(*constant)


def _pairs(plain: Make, new: Make, x: Any, *, rebuilt: bool) -> Iterator[Pair]:
    """Pairs of answers that must be equal, and when."""
    layer = evaluating(new(), execution="dense")
    dense = layer(x)
    dense = dense[0] if isinstance(layer, GatedTokens) else dense
    yield "with every unit open", dense, evaluating(plain())(x)
    if rebuilt:
        dense = nnx.view(_training(new()), execution="dense")(x)
        yield "in training with every unit open", dense, _training(plain())(x)
    yield from _closed(evaluating(new(), execution="compact"), x)


def _training(module: Host) -> Host:
    modes = dict(deterministic=False, use_running_average=False)
    return nnx.view(module, raise_if_not_found=False, **modes)


def _check_call(host: nnx.Module, count: int):
    """Raises a ValueError if a host cannot be called as its layer calls it."""
    name = type(host).__name__
    if not callable(host):
        raise ValueError(f"{name} is never called; name the modules in it.")
    signature = inspect.signature(host)
    try:
        signature.bind(*[None] * count)
    except TypeError as error:
        wanted = "its input and the mask of open tokens" if count == 2 else "its input"
        raise ValueError(
            f"a layer calls its host with {wanted} alone, but {name} is called with "
            f"{signature}."
        ) from error


def _check_same(got: Any, want: Any, error: float, when: str):
    """Raises a ValueError if two answers differ in any example."""
    got, want = (np.asarray(jax.device_get(x)) for x in (got, want))
    if got.shape != want.shape or got.dtype != want.dtype:
        raise ValueError(
            f"{when} the gated module would give {got.dtype}{list(got.shape)}, but "
            f"the module gives {want.dtype}{list(want.shape)}."
        )
    got, want = (x.astype(np.float64).reshape(len(x), -1) for x in (got, want))
    for one, other in zip(got, want, strict=True):
        scale = np.abs(other).max(initial=0, where=np.isfinite(other))
        if not np.allclose(one, other, rtol=0, atol=error * scale, equal_nan=True):
            gap = np.nanmax(np.abs(one - other)) / scale if scale else np.inf
            raise ValueError(
                f"{when} the gated module's answer would differ from the module's, "
                f"by {gap:.2g} of it."
            )


def _closed(layer: Any, x: Any) -> Iterator[Pair]:
    """Pairs that must be equal with some units closed: open ones, alone or not."""
    host = layer.host
    if isinstance(layer, OpenExamples):
        yield "for one example alone", host(x[1:2]), host(x)[1:2]
    elif isinstance(layer, OpenTokens) and x.shape[1] > 1:
        yield _some_tokens(host, x)
    elif isinstance(layer, GatedParts):
        rows = x.ndim - 1 if layer.score_axis == "rows" else 1
        flat, start = x.reshape(-1, *x.shape[rows:]), layer.shared(x)
        for index in sorted({0, layer.num_units - 1}):
            one = np.zeros((*x.shape[:rows], layer.num_units), np.float32)
            one[..., index] = 1
            added = layer.part(index, flat, None).reshape(start.shape)
            whole = layer.whole(x, None, jnp.asarray(one))
            yield f"with unit {index} open alone", start + added, whole
    elif isinstance(layer, GatedWidth) and layer.num_units > 1:
        layer.gate = HardTopk(density=0.5, rngs=nnx.Rngs(0))
        layer.gate.set_view(density=0.5)
        masked = nnx.view(layer, execution="masked")(x)
        yield "with half of the units open", layer(x), masked


def _some_tokens(host: Host, x: Any) -> Pair:
    """Open tokens where the others are masked, and where they are absent."""
    batch, n = x.shape[:2]
    random = np.random.default_rng(2)
    chosen = np.stack([random.permutation(n)[: n // 2] for _ in range(batch)])
    chosen[0] = np.arange(n - n // 2, n)  # in other places, once the first ones left
    chosen = np.sort(chosen).astype(np.int32)
    mask = np.zeros((batch, n), np.float32)
    np.put_along_axis(mask, chosen, 1, 1)
    indices = jnp.asarray(chosen)
    when = (
        "its second argument must be the mask of open tokens, and it must not read "
        "places or statistics of tokens: with some closed"
    )
    alone = host(ops.gather(x, indices), None)
    return when, alone, ops.gather(host(x, jnp.asarray(mask)), indices)


def _without_weights(layer: GatedLayer, zero: Host, x: Any) -> tuple[Any, Any] | None:
    """Answers of a host with weights of zero to two inputs, where it needs a skip."""
    passes = isinstance(layer, OpenExamples | OpenTokens)
    if not passes or isinstance(layer, GatedTokens) or layer.score_axis == "fields":
        return None
    return evaluating(zero)(x), evaluating(zero)(x[::-1])


def _check_skip(one: Any, other: Any):
    """Raises a ValueError if a host without weights passes nothing on."""
    one, other = (np.asarray(jax.device_get(y), np.float32) for y in (one, other))
    if np.isfinite(one).all() and np.array_equal(one, other):
        raise ValueError(
            "a closed unit passes its input on, but the module has no skip of its own "
            "(with weights of zero it gives a constant); name the module around the "
            "skip."
        )
