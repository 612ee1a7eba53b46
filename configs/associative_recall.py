"""Multi-query associative recall amid filler, with gates over tokens.

    python launch.py run --config=associative_recall:<method>[,<model>[,<budget>]]

The tokens that matter are known: 8 pairs and 8 queries, 24 of 256 places. What gates
over tokens open is held against them.
"""

from ml_collections import ConfigDict

from . import cluttered_digits, with_model


def get_config(argument: str = "soft_topk,encoder") -> ConfigDict:
    """Returns the complete, locked configuration of one run."""
    config = cluttered_digits.get_config(with_model(argument, "encoder"))
    with config.unlocked():
        config.data = ConfigDict(
            dict(
                name="associative_recall",
                num_train=50000,
                num_validation=500,
                num_test=1000,
                length=256,
                num_pairs=8,
                vocabulary=128,
                seed=0,
            )
        )
        config.task = ConfigDict(dict(name="token_labels"))
        config.update(train=dict(num_steps=3_000, eval_every=300))
    return config
