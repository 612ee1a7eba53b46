"""Gated layers: a host module, a scorer and a gate; one granularity per file."""

from dynsparse.layers.attention import TransformerBlock, masked_attention
from dynsparse.layers.base import GatedLayer
from dynsparse.layers.blocks import GatedBlock
from dynsparse.layers.scorers import PooledScorer, UnitScorer
from dynsparse.layers.tokens import GatedTokens

__all__ = [
    "GatedBlock",
    "GatedLayer",
    "GatedTokens",
    "PooledScorer",
    "TransformerBlock",
    "UnitScorer",
    "masked_attention",
]
