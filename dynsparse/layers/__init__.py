"""Gated layers: a host, a scorer and a gate; one granularity per file.

A host is the module that is gated, as it stood in the model; a granularity says what a
unit of it is; rows are what decides: examples, tokens, positions. `sparsify` puts
gated layers into a model, and `trace` finds units and rows in what a host computes.
Execution is masked (all units computed, for training) or compact (open ones alone).
"""

from dynsparse.layers import scorers
from dynsparse.layers.attention import Attention, Cache, masked_attention
from dynsparse.layers.base import GatedLayer
from dynsparse.layers.blocks import GatedBlock
from dynsparse.layers.bypass import BypassedTokens
from dynsparse.layers.causal import causal_twins
from dynsparse.layers.channels import ConvPair, GatedChannels
from dynsparse.layers.exits import Answered, GatedStage, Stage, Stages
from dynsparse.layers.expert_choice import ExpertChoice
from dynsparse.layers.experts import Experts, GatedExperts
from dynsparse.layers.explain import explain
from dynsparse.layers.features import FieldEmbedding, GatedFeatures
from dynsparse.layers.gated import gated
from dynsparse.layers.granularities import GRANULARITIES
from dynsparse.layers.heads import GatedHeads
from dynsparse.layers.host_exits import HostExit
from dynsparse.layers.host_experts import HostExperts, RouterScores
from dynsparse.layers.host_tokens import HostTokens
from dynsparse.layers.host_units import (
    HostChannels,
    HostHeads,
    HostNeurons,
    HostUnits,
    HostWidth,
)
from dynsparse.layers.mlp import Mlp
from dynsparse.layers.neurons import GatedNeurons
from dynsparse.layers.positions import GatedPositions, PaddedOnce
from dynsparse.layers.scorers import Scorer, ScoreShape, make_scorer
from dynsparse.layers.sparsify import sparsify
from dynsparse.layers.token_blocks import TokenBlocks
from dynsparse.layers.tokens import GatedTokens
from dynsparse.layers.transformer import TransformerBlock
from dynsparse.layers.width import GatedWidth, NestedScorer

__all__ = [
    "GRANULARITIES",
    "Answered",
    "Attention",
    "BypassedTokens",
    "Cache",
    "ConvPair",
    "ExpertChoice",
    "Experts",
    "FieldEmbedding",
    "GatedBlock",
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
    "HostChannels",
    "HostExit",
    "HostExperts",
    "HostHeads",
    "HostNeurons",
    "HostTokens",
    "HostUnits",
    "HostWidth",
    "Mlp",
    "NestedScorer",
    "PaddedOnce",
    "RouterScores",
    "ScoreShape",
    "Scorer",
    "Stage",
    "Stages",
    "TokenBlocks",
    "TransformerBlock",
    "causal_twins",
    "explain",
    "gated",
    "make_scorer",
    "masked_attention",
    "scorers",
    "sparsify",
]
