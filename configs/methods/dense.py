"""No gate: the network that every curve starts from."""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    config = ConfigDict()
    config.gate = ConfigDict(dict(name="dense"))
    config.density_sampling = None
    config.density_loss = None
    return config
