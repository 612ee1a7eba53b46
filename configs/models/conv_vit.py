"""A vision transformer behind a convolutional stem."""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The sections that this model adds to a task."""
    config = ConfigDict()
    config.model = ConfigDict(
        dict(
            name="conv_vit",
            granularity="tokens",  # or bypass, blocks, heads, neurons, experts, width
            width=48,
            depth=3,
            num_heads=3,
            mlp_width=144,
        )
    )
    config.optimizer = ConfigDict(dict(learning_rate=4e-3))
    return config
