"""Gated layers: a host module, a scorer and a gate; one granularity per file."""

from dynsparse.layers.attention import Attention, masked_attention
from dynsparse.layers.base import GatedLayer
from dynsparse.layers.blocks import GatedBlock
from dynsparse.layers.bypass import BypassedTokens
from dynsparse.layers.channels import ConvPair, GatedChannels
from dynsparse.layers.exits import ConfidenceScorer, GatedStage
from dynsparse.layers.experts import Experts, GatedExperts
from dynsparse.layers.heads import GatedHeads
from dynsparse.layers.mlp import Mlp
from dynsparse.layers.neurons import GatedNeurons
from dynsparse.layers.positions import GatedPositions
from dynsparse.layers.scorers import (
    MagnitudeScorer,
    PooledScorer,
    RowScorer,
    StaticScorer,
    UnitScorer,
    make_scorer,
)
from dynsparse.layers.sparsify import GRANULARITIES, gated, sparsify
from dynsparse.layers.tokens import GatedTokens
from dynsparse.layers.transformer import TransformerBlock
from dynsparse.layers.width import GatedWidth, NestedScorer

__all__ = [
    "GRANULARITIES",
    "Attention",
    "BypassedTokens",
    "ConfidenceScorer",
    "ConvPair",
    "Experts",
    "GatedBlock",
    "GatedChannels",
    "GatedExperts",
    "GatedHeads",
    "GatedLayer",
    "GatedNeurons",
    "GatedPositions",
    "GatedStage",
    "GatedTokens",
    "GatedWidth",
    "MagnitudeScorer",
    "Mlp",
    "NestedScorer",
    "PooledScorer",
    "RowScorer",
    "StaticScorer",
    "TransformerBlock",
    "UnitScorer",
    "gated",
    "make_scorer",
    "masked_attention",
    "sparsify",
]
