"""Random units, each by itself: the control of every gate of a varying count."""

from ml_collections import ConfigDict

from configs.methods._forms import exact_budget


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="random_bernoulli", density=1.0)
    return exact_budget(gate)
