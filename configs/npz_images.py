r"""The model of cluttered_digits.py on images of one's own.

    python launch.py run --config=npz_images:<method>[,<model>[,<budget>]] \
        --config.data.path=FILE.npz

The file holds uint8 `x_train` and `x_test`, [n, h, w] or [n, h, w, c], and integer
`y_train` and `y_test`; `x_val` and `y_val` where there is a validation split.
"""

from ml_collections import ConfigDict

from . import cluttered_digits


def get_config(argument: str = "soft_topk") -> ConfigDict:
    """Returns the complete, locked configuration of one run."""
    config = cluttered_digits.get_config(argument)
    with config.unlocked():
        config.data = ConfigDict(
            dict(
                name="npz_images",
                path="",
                validation_fraction=0.1,
                seed=0,
            )
        )
        config.task.standardise = True
    return config
