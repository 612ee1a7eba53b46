"""Differentiable top-k, trained at random densities: one model for any budget.

Method: logistic threshold masks (Amos, Koltun and Kolter, 2019), hard forward.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    config = ConfigDict()
    config.gate = ConfigDict(dict(name="soft_topk", density=1.0, temperature=3.0))
    config.density_sampling = ConfigDict(
        dict(
            low=0.1,  # lowest density that a step draws
            high=1.0,
            full=0.25,  # share of the steps that run at full density
        )
    )
    config.density_loss = None  # the count is exact: nothing to penalise
    return config
