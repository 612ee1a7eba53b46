"""A small vision transformer on real digits hidden in clutter, gated by tokens.

    python launch.py run --config=cluttered_digits:<method>[,<model>[,<budget>]]

They are rows of configs/methods.py, models.py and budgets.py; soft_topk,
conv_vit and what the method has of its own where none is named.
"""

from ml_collections import ConfigDict

from . import choices


def get_config(argument: str = "soft_topk") -> ConfigDict:
    """Returns the complete, locked configuration of one run."""
    config = ConfigDict()
    config.seed = 0

    config.data = ConfigDict(
        dict(
            name="cluttered_digits",
            num_train=50_000,
            num_validation=2_000,
            num_test=10_000,
            canvas=28,  # pixels
            digit_size=16,
            max_fragments=4,
            fragment_size=5,
            min_contrast=0.6,
            seed=0,  # of the images, so that all runs see the same
        )
    )
    config.task = ConfigDict(
        dict(name="images", shift=0, flip=False, standardise=False)
    )
    config.optimizer = ConfigDict(
        dict(warmup_steps=100, weight_decay=0.05, clip_norm=1.0)
    )
    config.train = ConfigDict(
        dict(
            num_steps=1_300,
            batch_size=64,
            log_every=20,  # steps
            eval_every=130,
            checkpoint_every=200,
            check_first_step=True,
            num_devices=1,  # that share every batch
            init_from="",  # folder of a run to take the weights of
        )
    )
    config.evaluation = ConfigDict(
        dict(
            densities=(1.0, 0.75, 0.5, 0.25, 0.125),  # of top-k gates
            budgets=(0.5,),  # fractions of the dense MACs; the bill chooses the density
            batch_size=64,  # of every pass, the timed ones included
            latency_repeats=20,
            num_examples=12,  # in kept.png
        )
    )
    config.update(choices(argument))
    return config.lock()
