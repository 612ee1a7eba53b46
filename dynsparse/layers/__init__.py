"""Gated layers: a host module, a scorer and a gate; one granularity per file."""

from dynsparse.layers.attention import Attention, Cache, masked_attention
from dynsparse.layers.base import GatedLayer
from dynsparse.layers.blocks import GatedBlock
from dynsparse.layers.bypass import BypassedTokens
from dynsparse.layers.causal import causal_twins
from dynsparse.layers.channels import ConvPair, GatedChannels
from dynsparse.layers.exits import EarlyExits, GatedStage
from dynsparse.layers.expert_choice import ExpertChoice
from dynsparse.layers.experts import Experts, GatedExperts
from dynsparse.layers.features import FieldEmbedding, GatedFeatures
from dynsparse.layers.heads import GatedHeads
from dynsparse.layers.make_scorer import make_scorer
from dynsparse.layers.mlp import Mlp
from dynsparse.layers.neurons import GatedNeurons
from dynsparse.layers.positions import GatedPositions
from dynsparse.layers.scorers import (
    FieldScorer,
    PooledScorer,
    RowScorer,
    UnitScorer,
)
from dynsparse.layers.simple_scorers import (
    ConfidenceScorer,
    EvenlySpacedScorer,
    FirstOpen,
    MagnitudeScorer,
    StaticScorer,
)
from dynsparse.layers.sparsify import GRANULARITIES, gated, sparsify
from dynsparse.layers.stack import NUM_PARTS, GatedBlocks, TokenBlocks, gated_stack
from dynsparse.layers.tokens import GatedTokens
from dynsparse.layers.transformer import TransformerBlock
from dynsparse.layers.width import GatedWidth, NestedScorer

__all__ = [
    "GRANULARITIES",
    "NUM_PARTS",
    "Attention",
    "BypassedTokens",
    "Cache",
    "ConfidenceScorer",
    "ConvPair",
    "EarlyExits",
    "ExpertChoice",
    "Experts",
    "EvenlySpacedScorer",
    "FieldEmbedding",
    "FieldScorer",
    "FirstOpen",
    "GatedBlock",
    "GatedBlocks",
    "GatedChannels",
    "GatedExperts",
    "GatedFeatures",
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
    "TokenBlocks",
    "TransformerBlock",
    "UnitScorer",
    "causal_twins",
    "gated",
    "gated_stack",
    "make_scorer",
    "masked_attention",
    "sparsify",
]
