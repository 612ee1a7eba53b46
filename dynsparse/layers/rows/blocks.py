"""Gated blocks: an example skips a residual block, or runs it."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx

from dynsparse.gates import Gate, evaluating
from dynsparse.layers.base.arguments import features_of, split
from dynsparse.layers.base.branches import output_shape
from dynsparse.layers.base.gated_layer import GatedLayer
from dynsparse.layers.rows.open_examples import OpenExamples
from dynsparse.layers.trace.program.host_call import HostCall, without_captures
from dynsparse.layers.trace.rows.examples import Batch, Closed, find_batch


class GatedBlock(OpenExamples):
    """Runs its host for the examples whose gate is open; the others pass unchanged.

    One gate per block, scored from the block's own input (SkipNet: Wang et al., 2017,
    arXiv:1711.09485; ConvNet-AIG: Veit and Belongie, 2017, arXiv:1711.11503).

    The host is called as it is, with any arguments and results: the trace of a call
    says which of their axes is that of the examples, as in `trace/rows/examples.py`.

    Args:
        host: Maps features, [batch, *axes, width], and whatever else it is called with,
            to features of the same shape, alone or among other results.
        scorer: Maps [batch, *axes, width] to [batch, 1].
        gate: A gate whose count varies, or the dense gate.
        closed: What a closed example gives: "input", or "zeros" where the skip
            connection stands outside of the host; None where the trace tells.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> block = layers.TransformerBlock(
        ...     width=4, num_heads=2, mlp_width=8, rngs=rngs
        ... )
        >>> layer = layers.gated(
        ...     block,
        ...     granularity="blocks",
        ...     gate=dict(name="gumbel_sigmoid", temperature=1.0),
        ...     scorer=dict(name="linear"),
        ...     width=4,
        ...     rngs=rngs,
        ... )
        >>> layer(jnp.ones((2, 3, 4))).shape
        (2, 3, 4)
    """

    unit = "residual block of an example"
    score_axis = "example"

    def __init__(
        self,
        *,
        host: nnx.Module,
        scorer: nnx.Module,
        gate: Gate,
        closed: Closed | None = None,
    ):
        super().__init__(host=host, scorer=scorer, gate=gate, num_units=1)
        self.closed: Closed | None = closed
        self.batch: Batch | None = None

    def find_batch(self, arrays: Sequence[Any], put: Callable[..., Any]) -> Batch:
        """Finds the examples in the arguments and results of one kind of call.

        Args:
            arrays: Arrays that the host is called with.
            put: Makes the arguments of the call, as `arguments.split` gives it.

        Raises:
            ValueError: If the host cannot be skipped, with the reason.
        """
        args, kwargs = put(arrays)
        call = HostCall(evaluating(self.host), args, kwargs)
        values = [call.value_of(array) for array in arrays]
        found = find_batch(call.trace, values, self.closed)
        return dataclasses.replace(found, pure=not call.changes)

    def batch_of(self, count: int) -> Batch | None:
        """Returns what is known of a call with `count` arrays, or None."""
        if self.batch is None and count == 1:  # built by hand, around one array
            return Batch((0,), (0,), (None if self.closed == "zeros" else 0,))
        known = self.batch is not None and len(self.batch.arguments) == count
        return self.batch if known else None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the host's results where the gate is open, as if closed elsewhere."""
        features = features_of(args, kwargs)
        if self.opens_all():
            self.decide_all(features)
            return self.host(*args, **kwargs)
        mask = self.decide(features).mask[:, 0]
        arrays, put = split((args, kwargs))
        batch = self.batch_of(len(arrays)) or self.find_batch(arrays, put)
        trees: list[Any] = []

        def compute(moving: list[Any]) -> list[Any]:
            some = iter(moving)
            given = [
                x if axis is None else jnp.moveaxis(next(some), 0, axis)
                for x, axis in zip(arrays, batch.arguments, strict=True)
            ]
            args, kwargs = put(given)
            host = self._copied() if batch.pure else self.host
            results, put_results = split(host(*args, **kwargs))
            trees[:] = [put_results]
            pairs = zip(results, batch.results, strict=True)
            return [jnp.moveaxis(x, axis, 0) for x, axis in pairs]

        moving = [
            jnp.moveaxis(x, axis, 0)
            for x, axis in zip(arrays, batch.arguments, strict=True)
            if axis is not None
        ]
        order = [i for i, axis in enumerate(batch.arguments) if axis is not None]
        closed = [
            None if source is None else moving[order.index(source)]
            for source in batch.closed
        ]
        if self.execution == "compact":  # where nothing may run
            shapes = output_shape(compute, moving)
            zeros = [jnp.zeros(shape.shape, shape.dtype) for shape in shapes]
            closed = [
                zero if x is None else x for x, zero in zip(closed, zeros, strict=True)
            ]
        results = self.run(compute, moving, closed, mask)
        pairs = zip(results, batch.results, strict=True)
        return trees[0]([jnp.moveaxis(x, 0, axis) for x, axis in pairs])

    def _copied(self) -> Any:
        """The host in compact execution: a copy, where nothing is gated inside of it.

        In a branch a host cannot write its state, not even as it was; its random
        streams stay where they are.
        """
        parts = [module for _, module in nnx.iter_modules(self.host)]
        if self.execution != "compact" or any(isinstance(m, GatedLayer) for m in parts):
            return self.host
        with without_captures(self.host):
            return nnx.merge(*nnx.split(self.host), copy=True)
