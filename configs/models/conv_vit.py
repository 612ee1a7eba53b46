"""A vision transformer behind a convolutional stem."""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The section `model` of a config."""
    return ConfigDict(
        dict(
            name="conv_vit",
            granularity="tokens",  # or bypass, blocks, heads, neurons, experts, width
            width=48,
            depth=3,
            num_heads=3,
            mlp_width=144,
        )
    )
