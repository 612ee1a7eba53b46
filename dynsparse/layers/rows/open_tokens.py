"""What dropped and bypassed tokens share: the host runs on the open ones alone."""

import functools

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped

from dynsparse import ops
from dynsparse.gates import Gate
from dynsparse.layers.base import branches
from dynsparse.layers.base.gated_layer import GatedLayer


class OpenTokens(GatedLayer):
    """Runs its host on the tokens that the gate opens.

    The gate decides over the tokens of one example, so no example depends on its
    neighbours in the batch. Compact execution gathers the open tokens: k where the
    count is fixed; where it varies, the largest count in the batch rounded up to a
    capacity. The surplus is masked, as is what scores forbid where fewer than k are
    left.

    Args:
        host: `host(tokens, mask)` maps [batch, size, width] to the same shape; where
            `mask`, [batch, size], is 0 a token must not affect the others. `mask` is
            None when every token is open.
        scorer: Maps [batch, n, width] to [batch, n].
        gate: Any kind.
        num_tokens: Most tokens of an example; n may be smaller.
        always_open: How many of the first tokens, such as a class token, are open
            whatever the scorer says.
    """

    unit = "token"
    kinds = ("fixed", "varying", "full")
    score_axis = "units"

    def __init__(
        self,
        *,
        host: nnx.Module,
        scorer: nnx.Module,
        gate: Gate,
        num_tokens: int,
        always_open: int = 0,
    ):
        super().__init__(host=host, scorer=scorer, gate=gate, num_units=num_tokens)
        if not 0 <= always_open <= num_tokens:
            raise ValueError(
                f"always_open must be in [0, {num_tokens}], got {always_open}."
            )
        self.always_open = always_open

    def score(self, features: Shaped[Array, "batch *axes"]) -> Float[Array, "..."]:
        """Scores all tokens; the scores of those that are always open are infinite."""
        scores = super().score(features)
        if self.always_open:
            scores = scores.at[:, : self.always_open].set(jnp.inf)
        return scores

    def call_host(
        self,
        tokens: Shaped[Array, "batch size *features"],
        mask: Float[Array, "batch size"] | None,
    ) -> Float[Array, "batch size width"]:
        """Runs the host on tokens of which `mask` closes some."""
        return self.host(tokens, mask)

    def run(
        self,
        tokens: Shaped[Array, "batch n *features"],
        closed: Float[Array, "*output"],
    ) -> tuple[Float[Array, "batch n width"], Float[Array, "batch n"]]:
        """Returns the host's output, `closed` at closed tokens, and the mask.

        Args:
            tokens: The host's input.
            closed: In the shape of the host's output; as in `nothing`, a scalar will do
                in masked execution.
        """
        n = tokens.shape[1]
        count = self.static_count(n)
        if self.opens_all(n):
            return self.call_host(tokens, None), self.decide_all(tokens)
        mask = self.decide(tokens).mask
        if self.execution == "masked":
            return self._blend(tokens, closed, mask), mask
        exact = count is not None and not self.forbids  # open ones, whose masks are 1
        compute = functools.partial(
            self._gathered, tokens, closed, mask, surplus=not exact
        )
        if count is not None:
            return branches.fixed(count, n, compute, spread_tokens(mask)), mask
        largest = (mask > 0).sum(-1).max(initial=0)
        sizes = ops.capacities(n, self.capacity_steps)
        return branches.switch(largest, sizes, compute, spread_tokens(mask)), mask

    def _gathered(self, tokens, closed, mask, size: int, *, surplus: bool):
        for _, module in nnx.iter_modules(self.host):
            if isinstance(module, GatedLayer):
                module.check_inside_tokens()
        if size == 0:
            return closed
        indices = ops.open_indices(mask, size)
        kept = ops.gather(tokens, indices)
        if surplus:
            others = ops.gather(closed, indices)
            kept = self._blend(kept, others, ops.gather(mask, indices))
        else:
            kept = self.call_host(kept, None)
        return ops.scatter(kept, indices, closed)

    def _blend(self, tokens, closed, mask):
        known = ops.drop_closed(tokens, _beside(mask, tokens))
        output = self.call_host(known, mask)
        return ops.blend(_beside(mask, output), output, closed)


def _beside(mask, x):
    """The mask with the axes of `x`."""
    return mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim))


def spread_tokens(opened: Float[Array, "batch n"]) -> branches.Spread:
    """Makes decisions about some tokens decisions about all of them."""

    def spread(layer: GatedLayer, size: int, mask: Array) -> Array:
        if layer.score_axis not in ("rows", "units"):
            return mask  # about examples
        zeros = jnp.zeros((*opened.shape, *mask.shape[2:]), mask.dtype)
        return ops.scatter(mask, ops.open_indices(opened, size), zeros)

    return spread
