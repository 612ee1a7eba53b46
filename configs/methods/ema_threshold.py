"""Top-k in training, a causal threshold in evaluation, at one density.

Method: Sun, Liu, Wu and Sun, 2026, arXiv:2603.11535.
"""

from ml_collections import ConfigDict

from configs.methods._forms import own_density


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="ema_threshold", density=0.5, temperature=3.0, decay=0.99)
    return own_density(gate)
