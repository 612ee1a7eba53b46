"""Friedman's function: a number from features of which half are noise."""

import numpy as np
from sklearn.datasets import make_friedman1

from dynsparse.data.base.drawn import draw_splits
from dynsparse.data.base.splits import Splits

_RELEVANT = 5  # features that the target depends on


def make(
    *,
    num_train: int,
    num_validation: int,
    num_test: int,
    num_features: int,
    noise: float,
    seed: int,
) -> Splits:
    """Draws features in [0, 1] and a target that depends on the first five.

    Friedman, 1991 (Multivariate adaptive regression splines), as in scikit-learn's
    `make_friedman1`. `relevant` are the five features.

    Args:
        num_train: Number of training examples.
        num_validation: Number of validation examples.
        num_test: Number of test examples.
        num_features: Number of features, at least 5.
        noise: Standard deviation of the noise of the target, >= 0.
        seed: Seed of the examples.

    Raises:
        ValueError: If a number is out of range.
    """
    if num_features < _RELEVANT or noise < 0:
        raise ValueError(
            f"data: needs num_features >= {_RELEVANT} and noise >= 0, got "
            f"{num_features} and {noise}."
        )

    def draw(rng: np.random.Generator, number: int) -> dict[str, np.ndarray]:
        features, target = make_friedman1(
            number, num_features, noise=noise, random_state=int(rng.integers(2**31))
        )
        return dict(
            features=features.astype(np.float32),
            target=target.astype(np.float32),
            relevant=np.broadcast_to(
                np.arange(num_features) < _RELEVANT, features.shape
            ),
        )

    return draw_splits(
        draw,
        num_train=num_train,
        num_validation=num_validation,
        num_test=num_test,
        seed=seed,
    )
