"""Random units, each by itself: the control of every gate of a varying count."""

from ml_collections import ConfigDict

from configs.methods._forms import UNREAD, own_density


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="random_bernoulli", density=0.5)
    return own_density(gate, scorer=UNREAD)
