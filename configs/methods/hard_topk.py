"""Hard top-k without a gradient: scores that stay as they were initialised."""

from ml_collections import ConfigDict

from configs.methods._forms import exact_budget


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="hard_topk", density=1.0)
    return exact_budget(gate)
