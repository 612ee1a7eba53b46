"""Units that lie evenly along their axis, whatever the input: a control."""

from ml_collections import ConfigDict

from configs.methods._forms import exact_budget


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="hard_topk", density=1.0)
    return exact_budget(gate, scorer=dict(name="evenly_spaced"))
