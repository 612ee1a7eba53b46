"""A residual network as for CIFAR."""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The section `model` of a config."""
    return ConfigDict(
        dict(
            name="resnet",
            granularity="positions",  # or blocks, channels, exits
            stem="small",
            depth=14,  # 6 n + 2
            width=16,  # channels of the first stage
            tile=0,  # pixels per side of a tile of positions; 0 chooses
        )
    )
