"""The rows of the layer tests: small layers of every granularity."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from dynsparse import gates
from dynsparse.layers import (
    GatedBlock,
    GatedTokens,
    PooledScorer,
    TransformerBlock,
    UnitScorer,
)
from tests.gates.contract_test import GATES

TOKENS, WIDTH = 12, 8


@dataclasses.dataclass(frozen=True)
class Row:
    """A granularity.

    Attributes:
        build: From a gate and rngs to the layer.
        output: From what the layer returns to one array.
        gates: Gates that it takes: one of each kind that makes sense, one whose masks
            are soft and the controls.
        refused: Gates that it does not take.
    """

    build: Callable
    output: Callable
    gates: tuple[str, ...]
    refused: tuple[str, ...] = ()


SPECS = {row.spec["name"]: row.spec for row in GATES}
KINDS = ("dense", "gumbel_sigmoid", "hard_concrete", "random_topk", "soft_topk")


def block(rngs):
    return TransformerBlock(width=WIDTH, num_heads=2, mlp_width=16, rngs=rngs)


def tokens(gate, rngs):
    return GatedTokens(
        host=block(rngs),
        scorer=UnitScorer(width=WIDTH, hidden=4, rngs=rngs),
        gate=gate,
        num_tokens=TOKENS,
    )


def blocks(gate, rngs):
    scorer = PooledScorer(width=WIDTH, hidden=4, rngs=rngs)
    return GatedBlock(host=block(rngs), scorer=scorer, gate=gate)


LAYERS = dict(
    tokens=Row(tokens, lambda out: out[0], KINDS),
    blocks=Row(
        blocks,
        lambda out: out,
        ("dense", "gumbel_sigmoid", "hard_concrete"),
        refused=("random_topk", "soft_topk"),
    ),
)
PAIRS = [(layer, gate) for layer, row in LAYERS.items() for gate in row.gates]


def build(layer, gate, dtype=jnp.float32, spread=4.0):
    """A layer whose scores are spread, so that varying counts vary."""
    rngs = nnx.Rngs(0, gate=1)
    module = LAYERS[layer].build(gates.from_config(SPECS[gate], rngs=rngs), rngs)
    module.scorer.score.kernel[...] *= spread
    cast = lambda x: x.astype(dtype) if x.dtype == jnp.float32 else x
    graphdef, params, rest = nnx.split(module, nnx.Param, ...)
    return nnx.merge(graphdef, jax.tree.map(cast, params), rest)


def compact_view(module, gate):
    fixed = issubclass(gates.find(gate), gates.TopkGate)
    density = SPECS[gate]["density"] if fixed else None
    return nnx.view(
        module,
        deterministic=True,
        execution="compact",
        **({} if density is None else dict(density=density)),
    )
