"""Decoder-only transformer with four granularities, and generation with caches."""

import functools
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
    transformer_blocks,
)

Caches = tuple[Cache, ...]


class Decoder(nnx.Module):
    """Token embeddings, causal transformer blocks, logits of the next token.

    In all four granularities a token needs no later one. "bypass" gates whose tokens
    compete (top-k) train on whole sequences; for generation, replace them by their
    causal twins: `layers.causal_twins(model, batches)`.

    Args:
        granularity: "bypass", "neurons", "experts" or "width", as in
            `layers.gated_stack`.
        width: Features per token.
        depth: Transformer blocks.
        num_heads: Attention heads; must divide `width`.
        mlp_width: Hidden units of each block's MLP.
        vocabulary: Number of different tokens.
        length: Maximum number of tokens of a sequence.
        gate, scorer, rngs: As in `models.from_config`.

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
        check_granularity(granularity, ("bypass", "neurons", "experts", "width"))
        check_positive(width=width, vocabulary=vocabulary, length=length)
        self.embed = nnx.Embed(vocabulary, width, rngs=rngs)
        self.position = learned_positions(length, width, rngs)
        blocks = transformer_blocks(
            depth,
            width=width,
            num_heads=num_heads,
            mlp_width=mlp_width,
            causal=True,
            rngs=rngs,
        )
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

    narrowed = staticmethod(narrower_transformers)

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
        """Returns the caches that `step` takes before the first token."""
        return tuple(
            _block(layer).attention.empty_cache(batch, len(self.position))
            for layer in self.body.blocks
        )

    def step(
        self, token: Int[Array, "batch"], caches: Caches, place: Int[Array, ""] | int
    ) -> tuple[Float[Array, "batch vocabulary"], Caches]:
        """Reads one more token of each sequence.

        Args:
            token: Next token of each sequence.
            caches: Caches of the tokens before `token`.
            place: Number of the tokens before `token`, below `length`.

        Returns:
            The logits of the token after `token`, equal to those that `__call__` gives
            for the whole sequence, and the new caches.

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
        model: Evaluation view: `gates.evaluating(model, execution="compact")`.
        prompt: At least one token of each sequence.
        num_tokens: Tokens to generate, at least 1; with the prompt at most `length`.
        temperature: Sampling temperature, >= 0; 0 takes the most likely token.
        key: Random key, needed for a temperature above 0.

    Returns:
        The generated tokens.

    Raises:
        ValueError: If the sequence would be too long, a value is out of range, or
            `key` is missing.

    >>> model = models.from_config(
    ...     dict(name="decoder", granularity="width", width=8, depth=1, num_heads=1,
    ...          mlp_width=8),
    ...     gate=dict(name="dense"), scorer=dict(name="mlp", hidden=1),
    ...     rngs=nnx.Rngs(0, gate=1), vocabulary=5, length=6,
    ... )
    >>> prompt = jnp.array([[1, 2]])
    >>> models.generate(gates.evaluating(model), prompt, num_tokens=3).shape
    (1, 3)
    """
    n, length = prompt.shape[1], len(model.position)
    if not 1 <= n <= length + 1 - num_tokens:
        raise ValueError(
            f"prompt and num_tokens must fit into a length of {length}, "
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
    """Generates tokens; compiled once per structure and shape. Greedy without heat."""
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
    """Folds the place into the random keys of a model, in place."""
    for _, node in nnx.iter_graph(model):
        if isinstance(node, nnx.RngKey):
            node[...] = jax.random.fold_in(node[...], place)
    return model
