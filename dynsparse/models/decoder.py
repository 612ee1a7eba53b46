"""Decoder-only transformer, and generation with caches."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, PRNGKeyArray

from dynsparse._internal.structure import Structure
from dynsparse.layers import Cache, TokenBlocks
from dynsparse.models.base.checks import check_positive
from dynsparse.models.base.images import learned_positions
from dynsparse.models.base.transformers import (
    NUM_PARTS,
    Rules,
    narrower_transformers,
    transformer_blocks,
    transformer_rules,
)

Caches = tuple[Cache, ...]


class Decoder(nnx.Module):
    """Token embeddings, causal transformer blocks, logits of the next token.

    In all its granularities a token needs no later one. "bypass" gates whose tokens
    compete (top-k) train on whole sequences; for generation, replace them by their
    causal twins: `layers.causal_twins(model, batches)`.

    Args:
        width: Features per token.
        depth: Transformer blocks.
        num_heads: Attention heads; must divide `width`.
        mlp_width: Hidden units of each block's MLP.
        num_experts: MLPs of each block that share its hidden units.
        vocabulary: Number of different tokens.
        length: Maximum number of tokens of a sequence.
        rngs: As in `models.from_config`.

    Raises:
        ValueError: If a value is not accepted.
    """

    granularities = ("bypass", "neurons", "experts", "width")
    variants = dict(experts=dict(num_experts=NUM_PARTS))

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        num_heads: int,
        mlp_width: int,
        num_experts: int = 1,
        vocabulary: int,
        length: int,
        rngs: nnx.Rngs,
    ):
        check_positive(width=width, vocabulary=vocabulary, length=length)
        self.embed = nnx.Embed(vocabulary, width, rngs=rngs)
        self.position = learned_positions(length, width, rngs)
        blocks = transformer_blocks(
            depth,
            width=width,
            num_heads=num_heads,
            mlp_width=mlp_width,
            num_experts=num_experts,
            causal=True,
            rngs=rngs,
        )
        self.body: Any = TokenBlocks(blocks)
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, vocabulary, use_bias=False, rngs=rngs)

    narrowed = staticmethod(narrower_transformers)

    def rules(self, granularity: str) -> Rules:
        """Returns the rules of a granularity, as `transformer_rules` gives them."""
        length, width = self.position.shape
        return transformer_rules(granularity, width=width, num_tokens=length)

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
            block.attention.empty_cache(batch, len(self.position))
            for block in self.body.blocks
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

    >>> from dynsparse.models.decoder import Decoder
    >>> sizes = dict(width=8, depth=1, num_heads=1, mlp_width=8)
    >>> model = Decoder(**sizes, vocabulary=5, length=6, rngs=nnx.Rngs(0))
    >>> prompt = jnp.array([[1, 2]])
    >>> models.generate(model, prompt, num_tokens=3).shape
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
