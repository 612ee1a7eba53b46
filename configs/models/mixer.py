"""An MLP-Mixer."""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The sections that this model adds to a task."""
    config = ConfigDict()
    config.model = ConfigDict(
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
    config.optimizer = ConfigDict(dict(learning_rate=4e-3))
    return config
