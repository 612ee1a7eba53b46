"""A residual network as for CIFAR."""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The sections that this model adds to a task."""
    config = ConfigDict()
    config.model = ConfigDict(
        dict(
            name="resnet",
            granularity="positions",  # or blocks, channels, exits
            stem="small",
            depth=14,  # 6 n + 2
            width=16,  # channels of the first stage
            tile=0,  # pixels per side of a tile of positions; 0 chooses
        )
    )
    config.optimizer = ConfigDict(dict(learning_rate=1e-2))
    return config
