"""An MLP-Mixer."""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The section `model` of a config."""
    return ConfigDict(
        dict(
            name="mixer",
            granularity="neurons",  # or blocks, experts, width
            patch=4,  # pixels
            width=48,
            depth=3,
            token_width=48,
            mlp_width=144,
        )
    )
