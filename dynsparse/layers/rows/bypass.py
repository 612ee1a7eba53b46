"""Bypassed tokens: a token that is closed skips the host and goes on."""

import jax
import jax.core
from jaxtyping import Array, Float, Int

from dynsparse import ops
from dynsparse.layers.hosts.attention import Cache
from dynsparse.layers.rows.open_tokens import OpenTokens
from dynsparse.layers.scorers.evenly_spaced import EvenlySpaced


class BypassedTokens(OpenTokens):
    """Runs its host on the tokens that the gate opens; the others pass unchanged.

    Mixture-of-Depths (Raposo et al., 2024, arXiv:2404.02258). A gate whose tokens
    compete reads later tokens: for decoding use its twin, from `causal_twins`.
    Arguments as in `OpenTokens`.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> block = layers.TransformerBlock(
        ...     width=4, num_heads=2, mlp_width=8, rngs=rngs
        ... )
        >>> layer = layers.gated(
        ...     block,
        ...     granularity="bypass",
        ...     gate=dict(name="hard_topk", density=0.5),
        ...     scorer=dict(name="evenly_spaced"),
        ...     width=4,
        ...     num_tokens=4,
        ...     rngs=rngs,
        ... )
        >>> x = jax.random.normal(jax.random.key(0), (1, 4, 4))
        >>> jnp.any(layer(x) != x, -1)
        Array([[ True, False,  True, False]], dtype=bool)
    """

    def __call__(
        self, tokens: Float[Array, "batch n width"]
    ) -> Float[Array, "batch n width"]:
        """Returns the host's output at open tokens, `tokens` at the others."""
        return self.run(tokens, tokens)[0]

    def step(
        self,
        token: Float[Array, "batch 1 width"],
        cache: Cache,
        place: Int[Array, ""] | int,
    ) -> tuple[Float[Array, "batch 1 width"], Cache]:
        """Runs or skips the host for one more token of each example.

        Compact execution skips the host where the tokens of all examples are closed: a
        `cond`, so that a batch of 1 always skips what it can.

        Args:
            token: The next token of each example.
            cache: What the host remembers; a closed token is not remembered.
            place: Number of tokens before this one.

        Returns:
            The host's output where the token is open, the token elsewhere, and the
            cache with it.

        Raises:
            ValueError: If the gate reads other tokens than this one, or the scorer the
                place of a token.
        """
        if self.execution == "dense" or self.gate.count == "full":
            self.decide_all(token)
            return self.host.step(token, cache, place)
        ahead = self._compares_tokens()
        if ahead:
            raise ValueError(f"{ahead}.")
        if isinstance(self.scorer, EvenlySpaced) and not self.gate.random:
            raise ValueError(
                "the scorer evenly_spaced scores the places of a sequence, of which "
                "decoding has one at a time: it cannot decode."
            )
        mask = self.decide(token).mask

        def compute(token, cache):
            weight = mask[..., None]
            known = ops.drop_closed(token, weight)
            output, cache = self.host.step(known, cache, place, mask)
            return ops.blend(weight, output, token), cache

        if self.execution == "masked":
            return compute(token, cache)
        some = (mask > 0).any()
        if not isinstance(some, jax.core.Tracer):  # outside of jit: nothing to compile
            return compute(token, cache) if some else (token, cache)
        skip = lambda token, cache: (token, cache)
        return jax.lax.cond(some, compute, skip, token, cache)
