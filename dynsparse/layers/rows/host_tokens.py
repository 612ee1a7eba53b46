"""Gated tokens of any host; `trace/rows/tokens.py` finds where they are summed."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from dynsparse import ops
from dynsparse.gates import Gate
from dynsparse.layers.base import branches
from dynsparse.layers.base.arguments import features_of
from dynsparse.layers.base.gated_layer import GatedLayer
from dynsparse.layers.rows.open_tokens import spread_tokens
from dynsparse.layers.trace.program.host_call import HostCall
from dynsparse.layers.trace.rows.attending import run_some_tokens, run_tokens
from dynsparse.layers.trace.rows.examples import skips
from dynsparse.layers.trace.rows.tokens import find_tokens


class HostTokens(GatedLayer):
    """Runs a host on the tokens that the gate opens; the others pass unchanged.

    Mixture-of-Depths (Raposo et al., 2024, arXiv:2404.02258) around any block: a closed
    token is left out wherever the host sums, maximises or contracts over tokens, which
    is masked attention, for any attention. Places and masks go with their tokens.

    Args:
        host: Called with tokens, [batch, n, width], and whatever else; gives the same
            shape, alone.
        scorer: Maps [batch, n, width] to [batch, n].
        gate: Any kind.
        num_tokens: Most tokens of an example; n may be smaller.

    Example:
        >>> import dynsparse
        >>> class Block(nnx.Module):
        ...     def __init__(self, rngs):
        ...         self.attend = nnx.MultiHeadAttention(
        ...             2, 4, decode=False, rngs=rngs
        ...         )
        ...
        ...     def __call__(self, x, mask):
        ...         return x + self.attend(x, mask=mask)
        >>> x, causal = jnp.ones((2, 4, 4)), jnp.tril(jnp.ones((4, 4), bool))
        >>> rule = dict(granularity="bypass", scorer=dict(name="evenly_spaced"))
        >>> rule |= dict(gate=dict(name="hard_topk", density=0.5))
        >>> model = layers.sparsify(
        ...     Block(nnx.Rngs(0)),
        ...     {"": rule},
        ...     dynsparse.call(x, causal),
        ...     rngs=nnx.Rngs(1, gate=2),
        ... )
        >>> jnp.any(model(x, causal) != x, -1)[0]
        Array([ True, False,  True, False], dtype=bool)
    """

    unit = "token"
    kinds = ("fixed", "varying", "full")
    score_axis = "units"

    def __init__(
        self, *, host: nnx.Module, scorer: nnx.Module, gate: Gate, num_tokens: int
    ):
        super().__init__(host=host, scorer=scorer, gate=gate, num_units=num_tokens)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the host's output at open tokens, its input at the others."""
        tokens = features_of(args, kwargs)
        n = tokens.shape[1]
        if self.opens_all(n):
            self.decide_all(tokens)
            return self.host(*args, **kwargs)
        count, mask = self.static_count(n), self.decide(tokens).mask
        call = HostCall(self.host, args, kwargs)
        found = find_tokens(call.trace)
        closed = tokens if skips(call.trace, 0) else jnp.zeros_like(tokens)
        if self.execution == "masked":
            output = run_tokens(call, found, mask)
            return ops.blend(mask[..., None], output, closed)

        def gathered(size: int) -> Array:
            if size == 0:
                return closed
            indices = ops.open_indices(mask, size)
            weights = ops.gather(mask, indices)
            output = run_some_tokens(call, found, indices, weights)
            others = ops.gather(closed, indices)
            kept = ops.blend(weights[..., None], output, others)
            return ops.scatter(kept, indices, closed)

        if count is not None:
            return branches.fixed(count, n, gathered, spread_tokens(mask))
        largest = (mask > 0).sum(-1).max(initial=0)
        sizes = ops.capacities(n, self.capacity_steps)
        return branches.switch(largest, sizes, gathered, spread_tokens(mask))
