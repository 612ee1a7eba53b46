"""Random units, trained at random densities: the control of every top-k gate."""

from ml_collections import ConfigDict

from configs.methods._forms import UNREAD, exact_budget


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="random_topk", density=1.0)
    return exact_budget(gate, scorer=UNREAD)
