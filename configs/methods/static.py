"""Static pruning: soft top-k of learned scores that do not look at the input."""

from ml_collections import ConfigDict

from configs.methods._forms import exact_budget


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="soft_topk", density=1.0, temperature=3.0, family="logistic")
    scores = dict(name="static")  # a vector, which does not decay
    return exact_budget(gate, scorer=scores, gate_weight_decay=0.0)
