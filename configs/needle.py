"""A needle amid filler, with gates over tokens.

    python launch.py run --config=needle:<method>[,<model>[,<budget>]]

The tokens that matter are known: 3 of 256 places.
"""

from ml_collections import ConfigDict

from . import cluttered_digits, with_model


def get_config(argument: str = "soft_topk,encoder") -> ConfigDict:
    """Returns the complete, locked configuration of one run."""
    config = cluttered_digits.get_config(with_model(argument, "encoder"))
    with config.unlocked():
        config.data = ConfigDict(
            dict(
                name="needle",
                num_train=50000,
                num_validation=500,
                num_test=1000,
                length=256,
                vocabulary=128,
                seed=0,
            )
        )
        config.task = ConfigDict(dict(name="token_labels"))
        config.update(train=dict(num_steps=2_000, eval_every=200))
    return config
