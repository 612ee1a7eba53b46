"""Gated layers: a host, a scorer and a gate; one granularity per file.

A host is the module that is gated, as it stood in the model; a granularity says what a
unit of it is; rows are what decides: examples, tokens, positions. Execution is masked
(all units computed, for training) or compact (open ones alone).

base: what all gated layers share. rows, units, exits: the granularities, each in its
own file. scorers: what is scored. hosts: plain modules that models are made of. trace:
finds rows and units in what a host computes. rules: puts layers into a model
(`sparsify`), once the proof in proof holds.
"""

from dynsparse.layers import scorers
from dynsparse.layers.base.gated_layer import GatedLayer
from dynsparse.layers.causal import causal_twins
from dynsparse.layers.exits.host_exits import HostExit
from dynsparse.layers.exits.stages import Answered, GatedStage, Stage, Stages
from dynsparse.layers.explain import explain
from dynsparse.layers.hosts.attention import Attention, Cache, masked_attention
from dynsparse.layers.hosts.mlp import Mlp
from dynsparse.layers.hosts.token_blocks import TokenBlocks
from dynsparse.layers.hosts.transformer import TransformerBlock
from dynsparse.layers.rows.blocks import GatedBlock
from dynsparse.layers.rows.bypass import BypassedTokens
from dynsparse.layers.rows.fields import FieldEmbedding, GatedFeatures
from dynsparse.layers.rows.host_tokens import HostTokens
from dynsparse.layers.rows.positions import GatedPositions, PaddedOnce
from dynsparse.layers.rows.tokens import GatedTokens
from dynsparse.layers.rules.gated import gated
from dynsparse.layers.rules.granularities import GRANULARITIES
from dynsparse.layers.rules.sparsify import sparsify
from dynsparse.layers.scorers import Scorer, ScoreShape, make_scorer
from dynsparse.layers.units.channels import GatedChannels
from dynsparse.layers.units.expert_choice import ExpertChoice
from dynsparse.layers.units.experts import Experts, GatedExperts
from dynsparse.layers.units.gated_units import GatedUnits
from dynsparse.layers.units.heads import GatedHeads
from dynsparse.layers.units.host_experts import HostExperts, RouterScores
from dynsparse.layers.units.neurons import GatedNeurons
from dynsparse.layers.units.width import GatedWidth, NestedScorer

__all__ = [
    "GRANULARITIES",
    "Answered",
    "Attention",
    "BypassedTokens",
    "Cache",
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
    "GatedUnits",
    "GatedWidth",
    "HostExit",
    "HostExperts",
    "HostTokens",
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
