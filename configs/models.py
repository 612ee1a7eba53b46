"""The models: networks small enough for two processor cores, one row a model."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict


class Model(NamedTuple):
    """A row of the table.

    Attributes:
        name: Of the network, a file of dynsparse/models.
        paper: Source of the architecture.
        advice: When to use it, in one line.
        granularities: What a gate may decide on; the first is the default.
        learning_rate: At the end of the warm-up.
        keys: The other keys of the section `model`.
        reads: What an example of its tasks is: "images", "tokens" or "features".
    """

    name: str
    paper: str
    advice: str
    granularities: tuple[str, ...]
    learning_rate: float
    keys: Mapping[str, Any]
    reads: str = "images"

    def get_config(self) -> ConfigDict:
        """Returns the sections that the model adds to a task."""
        default = dict(name=self.name, granularity=self.granularities[0])
        return ConfigDict(
            dict(
                model=default | dict(self.keys),
                optimizer=dict(learning_rate=self.learning_rate),
            )
        )


_TRANSFORMER = dict(width=48, depth=3, num_heads=3, mlp_width=144)
_BLOCKS = ("tokens", "bypass", "blocks", "heads", "neurons", "experts", "width")
_ROWS = (
    Model(
        "conv_vit",
        "Dosovitskiy et al., 2020, arXiv:2010.11929",
        "Start here: a vision transformer behind a convolutional stem.",
        _BLOCKS,
        4e-3,
        _TRANSFORMER,
    ),
    Model(
        "vit",
        "Dosovitskiy et al., 2020, arXiv:2010.11929",
        "A vision transformer with a class token, which may exit early.",
        (*_BLOCKS, "exits"),
        4e-3,
        dict(patch=4, **_TRANSFORMER),  # pixels
    ),
    Model(
        "mixer",
        "Tolstikhin et al., 2021, arXiv:2105.01601",
        "An MLP-Mixer: matrix products alone, fast on a CPU.",
        ("neurons", "blocks", "experts", "width"),
        4e-3,
        dict(patch=4, width=48, depth=3, token_width=48, mlp_width=144),
    ),
    Model(
        "resnet",
        "He et al., 2015, arXiv:1512.03385",
        "A residual network: the most accurate here, and the slowest.",
        ("positions", "blocks", "channels", "exits"),
        1e-2,
        dict(
            stem="small",
            depth=14,  # 6 n + 2
            width=16,  # channels of the first stage
            tile=0,  # pixels per side of a tile of positions; 0 chooses
        ),
    ),
    Model(
        "encoder",
        "Vaswani et al., 2017, arXiv:1706.03762",
        "For labels of tokens: every token attends to all.",
        ("bypass", "blocks", "heads", "neurons", "experts", "width"),
        2e-3,
        dict(width=64, depth=2, num_heads=4, mlp_width=192),
        "tokens",
    ),
    Model(
        "decoder",
        "Radford et al., 2019 (GPT-2)",
        "For the next token: every token attends to those before it.",
        ("neurons", "bypass", "experts", "width"),
        3e-3,
        dict(width=128, depth=4, num_heads=4, mlp_width=512),
        "tokens",
    ),
    Model(
        "residual_mlp",
        "Gorishniy et al., 2021, arXiv:2106.11959",
        "For rows of a table.",
        ("neurons", "width"),
        3e-3,
        dict(width=64, depth=2, mlp_width=256),
        "features",
    ),
)
MODELS = {row.name: row for row in _ROWS}
