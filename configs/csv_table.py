r"""A number from the other columns of a table.

python launch.py run --config=csv_table:<method>[,<model>[,<budget>]] \
        --config.data.path=FILE.csv --config.data.target=COLUMN
"""

from ml_collections import ConfigDict

from . import friedman


def get_config(argument: str = "soft_topk,residual_mlp") -> ConfigDict:
    """Returns the complete, locked configuration of one run."""
    config = friedman.get_config(argument)
    with config.unlocked():
        config.data = ConfigDict(
            dict(
                name="csv_table",
                path="",
                target="",  # column that is predicted
                ignored=(),  # columns that are not read
                validation_fraction=0.1,
                test_fraction=0.1,
                seed=0,
            )
        )
    return config
