"""Friedman's function: a number from ten features, of which five matter.

python launch.py run --config=friedman:<method>[,<model>[,<budget>]]
"""

from ml_collections import ConfigDict

from . import cluttered_digits, with_model


def get_config(argument: str = "soft_topk,residual_mlp") -> ConfigDict:
    """Returns the complete, locked configuration of one run."""
    config = cluttered_digits.get_config(with_model(argument, "residual_mlp"))
    with config.unlocked():
        config.data = ConfigDict(
            dict(
                name="friedman",
                num_train=20000,
                num_validation=2000,
                num_test=5000,
                num_features=10,
                noise=1.0,
                seed=0,
            )
        )
        config.task = ConfigDict(dict(name="regression"))
        config.update(train=dict(num_steps=1_000, eval_every=100))
    return config
