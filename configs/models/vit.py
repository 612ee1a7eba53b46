"""A vision transformer with a class token."""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The sections that this model adds to a task."""
    config = ConfigDict()
    config.model = ConfigDict(
        dict(
            name="vit",
            granularity="tokens",  # or as of conv_vit, or exits
            patch=4,  # pixels
            width=48,
            depth=3,
            num_heads=3,
            mlp_width=144,
        )
    )
    config.optimizer = ConfigDict(dict(learning_rate=4e-3))
    return config
