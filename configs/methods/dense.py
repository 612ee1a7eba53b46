"""No gate: the network that every curve starts from."""

from ml_collections import ConfigDict

from configs.methods._forms import UNREAD, own_density


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="dense")
    return own_density(gate, scorer=UNREAD)
