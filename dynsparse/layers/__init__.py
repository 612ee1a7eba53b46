"""Gated layers: a host module, a scorer and a gate; one granularity per file."""

from dynsparse.layers.attention import TransformerBlock, masked_attention
from dynsparse.layers.base import GatedLayer
from dynsparse.layers.blocks import GatedBlock
from dynsparse.layers.scorers import (
    MagnitudeScorer,
    PooledScorer,
    StaticScorer,
    UnitScorer,
    make_scorer,
)
from dynsparse.layers.tokens import GatedTokens

__all__ = [
    "GatedBlock",
    "GatedLayer",
    "GatedTokens",
    "MagnitudeScorer",
    "PooledScorer",
    "StaticScorer",
    "TransformerBlock",
    "UnitScorer",
    "make_scorer",
    "masked_attention",
]
