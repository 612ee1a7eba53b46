"""A decoder-only transformer, gated in four ways, which answers token by token."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, PRNGKeyArray

from dynsparse._internal.registry import Config
from dynsparse._internal.structure import Structure
from dynsparse.layers import Cache, TransformerBlock, gated_stack
from dynsparse.models.base import (
    check_granularity,
    check_positive,
    learned_positions,
    narrower_transformers,
)

_GRANULARITIES = ("bypass", "neurons", "experts", "width")

Caches = tuple[Cache, ...]


class Decoder(nnx.Module):
    """Token embeddings, causal transformer blocks, logits of the next token.

    The granularities are those in which a token needs no later one. Gates of "bypass"
    whose tokens compete (top-k) train on whole sequences; to decode, replace them by
    their twins: `layers.causal_twins(model, batches)`.

    Args:
        granularity: "bypass", "neurons", "experts" or "width", as in
            `layers.gated_stack`.
        width: Features per token.
        depth: Transformer blocks.
        num_heads: Attention heads; must divide `width`.
        mlp_width: Hidden units of each block's MLP.
        gate: Config of the gates, for `gates.from_config`.
        scorer: Config of their scorers, for `layers.make_scorer`.
        vocabulary: Tokens that there are.
        length: Most tokens of a sequence.
        rngs: `params` initialises, `gate` is the noise of the gates.

    Raises:
        ValueError: If a value is not accepted, here or by a gate or layer.
    """

    def __init__(
        self,
        *,
        granularity: str,
        width: int,
        depth: int,
        num_heads: int,
        mlp_width: int,
        gate: Config,
        scorer: Config,
        vocabulary: int,
        length: int,
        rngs: nnx.Rngs,
    ):
        check_granularity(granularity, _GRANULARITIES)
        check_positive(width=width, depth=depth, num_heads=num_heads)
        check_positive(mlp_width=mlp_width, vocabulary=vocabulary, length=length)
        self.embed = nnx.Embed(vocabulary, width, rngs=rngs)
        self.position = learned_positions(length, width, rngs)
        blocks = [
            TransformerBlock(
                width=width,
                num_heads=num_heads,
                mlp_width=mlp_width,
                causal=True,
                rngs=rngs,
            )
            for _ in range(depth)
        ]
        self.body: Any = gated_stack(
            blocks,
            granularity=granularity,
            width=width,
            num_tokens=length,
            gate=gate,
            scorer=scorer,
            rngs=rngs,
        )
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, vocabulary, use_bias=False, rngs=rngs)

    @staticmethod
    def narrowed(config: Config) -> Iterator[dict[str, Any]]:
        """Configs of the same depth, from the narrowest to `config` itself."""
        return narrower_transformers(config)

    def __call__(
        self, tokens: Int[Array, "batch n"]
    ) -> Float[Array, "batch n vocabulary"]:
        """Returns the logits of the token after each of `tokens`.

        Raises:
            ValueError: If there are more tokens than `length`.
        """
        length = len(self.position)
        if tokens.shape[1] > length:
            raise ValueError(
                f"a sequence has at most {length} tokens, got {tokens.shape[1]}."
            )
        x = self.embed(tokens) + self.position[: tokens.shape[1]][None]
        return self.head(self.norm(self.body(x)[0]))

    def empty_caches(self, batch: int) -> Caches:
        """What `step` takes before the first token."""
        return tuple(
            _block(layer).attention.empty_cache(batch, len(self.position))
            for layer in self.body.blocks
        )

    def step(
        self, token: Int[Array, "batch"], caches: Caches, place: Int[Array, ""] | int
    ) -> tuple[Float[Array, "batch vocabulary"], Caches]:
        """Reads one more token of each sequence.

        Args:
            token: The next one of each.
            caches: Of the tokens before it.
            place: How many those are, below `length`.

        Returns:
            The logits of the token after it, as `__call__` gives them for the whole
            sequence, and the caches with it.

        Raises:
            ValueError: If a gate looks at later tokens.
        """
        x = (self.embed(token) + self.position[place][None])[:, None]
        after = []
        for layer, cache in zip(self.body.blocks, caches, strict=True):
            x, cache = layer.step(x, cache, place)
            after.append(cache)
        return self.head(self.norm(x[:, 0])), tuple(after)


def _block(layer: Any) -> TransformerBlock:
    return layer if isinstance(layer, TransformerBlock) else layer.host


def generate(
    model: Decoder,
    prompt: Int[Array, "batch n"],
    *,
    num_tokens: int,
    temperature: float = 0.0,
    key: PRNGKeyArray | None = None,
) -> Int[Array, "batch num_tokens"]:
    """Continues each prompt, token by token.

    Args:
        model: As it answers: `gates.evaluating(model, execution="compact")`.
        prompt: At least one token of each sequence.
        num_tokens: To generate, at least 1; with the prompt at most `length`.
        temperature: Of the distribution that is sampled, >= 0; 0 takes the likeliest.
        key: Needed to sample.

    Raises:
        ValueError: If the sequence would be too long, a value is out of range, or
            `key` is missing.
    """
    n, length = prompt.shape[1], len(model.position)
    if not 1 <= n <= length + 1 - num_tokens:
        raise ValueError(
            f"prompt and num_tokens must fit into {length} places, "
            f"got {n} and {num_tokens}."
        )
    if num_tokens < 1:
        raise ValueError(f"num_tokens must be at least 1, got {num_tokens}.")
    if temperature < 0:
        raise ValueError(f"temperature must be >= 0, got {temperature}.")
    if temperature and key is None:
        raise ValueError(f"temperature {temperature} samples, which needs a key.")
    structure, state = Structure.split(model)
    heat = jnp.float32(temperature) if temperature else None
    return _continue(structure, num_tokens, nnx.as_pure(state), prompt, heat, key)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _continue(structure: Structure, num_tokens, state, prompt, heat, key):
    """`generate`, compiled once per model and shape; greedy without heat."""
    batch, n = prompt.shape
    places = jnp.arange(n + num_tokens - 1)
    model = structure.merge(state)

    def next_token(carry, place):
        token, caches = carry
        model = _drawing_anew(structure.merge(state), place)
        logits, caches = model.step(token, caches, place)
        chosen = logits.argmax(-1)
        if heat is not None:
            own = jax.random.fold_in(key, place)
            chosen = jax.random.categorical(own, logits / heat)
        given = prompt[:, jnp.minimum(place + 1, n - 1)]
        token = jnp.where(place + 1 < n, given, chosen).astype(prompt.dtype)
        return (token, caches), token

    start = prompt[:, 0], model.empty_caches(batch)
    _, tokens = jax.lax.scan(next_token, start, places)
    return tokens[n - 1 :].T


def _drawing_anew(model: Decoder, place: Int[Array, ""]) -> Decoder:
    """The model with random numbers of its own at each place."""
    for _, node in nnx.iter_graph(model):
        if isinstance(node, nnx.RngKey):
            node[...] = jax.random.fold_in(node[...], place)
    return model
