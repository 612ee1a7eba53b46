"""Differentiable masks and static-shape skipping: arrays in, arrays out."""

from dynsparse.ops.bernoulli import (
    bernoulli_straight_through,
    binary_concrete,
    gumbel_sigmoid,
    logistic_perturb,
    logit,
    semantic_hash,
)
from dynsparse.ops.categorical import gumbel_softmax, reinmax, softmax
from dynsparse.ops.closed import blend, drop_closed, weigh
from dynsparse.ops.compact import (
    capacities,
    capacity_switch,
    gather,
    open_indices,
    scatter,
)
from dynsparse.ops.counts import num_open, traced_num_open
from dynsparse.ops.dftopk import dftopk_mask
from dynsparse.ops.division import LEAST, divisor
from dynsparse.ops.entmax import capped_entmax, sparsemax
from dynsparse.ops.families import FAMILIES, Family, find_family, power
from dynsparse.ops.hard import hard_topk_mask, straight_through
from dynsparse.ops.hard_concrete import hard_concrete, hard_concrete_open_prob
from dynsparse.ops.imle import imle_topk_mask
from dynsparse.ops.infinite import allowed, finite, num_allowed
from dynsparse.ops.parts import first_pairs, sum_of_parts
from dynsparse.ops.perturbed import perturbed_topk_mask
from dynsparse.ops.plackett_luce import (
    gumbel_perturb,
    gumbel_topk_mask,
    plackett_luce_log_prob,
)
from dynsparse.ops.precision import widened
from dynsparse.ops.relaxed_subset import relaxed_subset_mask
from dynsparse.ops.rounding import systematic_round
from dynsparse.ops.score_function import (
    bernoulli_log_prob,
    disarm_surrogate,
    reinforce_surrogate,
)
from dynsparse.ops.sorting import neural_sort_mask, soft_sort_mask
from dynsparse.ops.steps import (
    hard_step,
    relu_mask,
    sigmoid_straight_through,
    smooth_step,
)
from dynsparse.ops.subset import (
    k_subset_log_partition,
    k_subset_log_prob,
    k_subset_marginals,
    k_subset_sample,
)
from dynsparse.ops.threshold import soft_topk_mask, soft_topk_threshold
from dynsparse.ops.undifferentiated import undifferentiated

__all__ = [
    "FAMILIES",
    "LEAST",
    "Family",
    "allowed",
    "bernoulli_log_prob",
    "bernoulli_straight_through",
    "binary_concrete",
    "blend",
    "capacities",
    "capacity_switch",
    "capped_entmax",
    "dftopk_mask",
    "disarm_surrogate",
    "divisor",
    "drop_closed",
    "find_family",
    "finite",
    "first_pairs",
    "gather",
    "gumbel_perturb",
    "gumbel_sigmoid",
    "gumbel_softmax",
    "gumbel_topk_mask",
    "hard_concrete",
    "hard_concrete_open_prob",
    "hard_step",
    "hard_topk_mask",
    "imle_topk_mask",
    "k_subset_log_partition",
    "k_subset_log_prob",
    "k_subset_marginals",
    "k_subset_sample",
    "logistic_perturb",
    "logit",
    "neural_sort_mask",
    "num_allowed",
    "num_open",
    "open_indices",
    "perturbed_topk_mask",
    "plackett_luce_log_prob",
    "power",
    "reinforce_surrogate",
    "reinmax",
    "relaxed_subset_mask",
    "relu_mask",
    "scatter",
    "semantic_hash",
    "sigmoid_straight_through",
    "smooth_step",
    "soft_sort_mask",
    "soft_topk_mask",
    "soft_topk_threshold",
    "softmax",
    "sparsemax",
    "straight_through",
    "sum_of_parts",
    "systematic_round",
    "traced_num_open",
    "undifferentiated",
    "weigh",
    "widened",
]
