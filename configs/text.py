r"""The next character of a text, by a decoder whose gates look at no later one.

    python launch.py run --config=text:<method>[,<model>[,<budget>]] \
        --config.data.path=FILE.txt

Blocks of neurons by default: each token opens its own. Gates over tokens that compete
(bypass, top-k) would look ahead: take `ema_threshold` or a gate of a varying count.
"""

from ml_collections import ConfigDict

from . import cluttered_digits, with_model


def get_config(argument: str = "soft_topk,decoder") -> ConfigDict:
    """Returns the complete, locked configuration of one run."""
    config = cluttered_digits.get_config(with_model(argument, "decoder"))
    with config.unlocked():
        config.data = ConfigDict(
            dict(
                name="text",
                path="",
                length=128,  # characters that a model reads
                stride=32,  # from the start of a training window to the next
                validation_fraction=0.05,
                test_fraction=0.05,
            )
        )
        config.task = ConfigDict(dict(name="next_token"))
        config.update(train=dict(num_steps=2_000, batch_size=32, eval_every=200))
    return config
