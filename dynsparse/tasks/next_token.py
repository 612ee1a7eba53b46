"""The next token of a sequence: characters or tokens of text."""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from dynsparse.data import Splits
from dynsparse.tasks.base import Batch, Mean, Task, weights

MODEL_KEYS = ("vocabulary", "length")


def make(splits: Splits) -> Task:
    """Makes the task of telling the next token after each token of a window.

    Models are causal: gates that look at later tokens are refused when a decoder is
    evaluated, with the twin that will do.

    Args:
        splits: Examples have `token`, an integer [length + 1] in [0, vocabulary), of
            which all but the last are read and all but the first are told. `valid`,
            bool [length + 1], says which tokens are no padding, where some are.
            `vocabulary` is a fact of the data; `characters`, where a token is one.

    Raises:
        ValueError: If the data lack what is needed.

    >>> source = data.Arrays(dict(token=np.arange(18, dtype=np.int32).reshape(2, 9)))
    >>> splits = data.Splits(
    ...     train=source, validation=source, test=source, facts=dict(vocabulary=18)
    ... )
    >>> from dynsparse.tasks import next_token
    >>> task = next_token.make(splits)
    >>> task.model, task.unit
    ({'vocabulary': 18, 'length': 8}, 'nats/token')
    """
    vocabulary, example = splits.facts.get("vocabulary"), splits.example
    if not isinstance(vocabulary, int) or "token" not in example:
        raise ValueError(
            "task: next_token needs examples with token, and the fact vocabulary; got "
            f"{sorted(example)} and facts {sorted(splits.facts)}."
        )
    (tokens,) = example["token"].shape
    if tokens < 2:
        raise ValueError(f"task: token must hold at least 2 of them, got {tokens}.")
    of_characters = splits.facts.get("characters") is not None
    return Task(
        splits=splits,
        inputs=_read,
        losses=losses,
        scores=scores,
        metric="cross_entropy",
        higher_is_better=False,
        unit="nats/character" if of_characters else "nats/token",
        model=dict(vocabulary=vocabulary, length=tokens - 1),
        facts=splits.known(),
        noun="window",
    )


def losses(
    outputs: Float[Array, "batch length vocabulary"], batch: Batch
) -> Float[Array, "batch"]:
    """Cross-entropy of each window, in nats, mean over the tokens that are told."""
    apart, told = _told(outputs, batch)
    return (apart * told).sum(1) / jnp.maximum(told.sum(1), 1)


def scores(
    outputs: Float[Array, "batch length vocabulary"], batch: Batch
) -> dict[str, Mean]:
    """Cross-entropy in nats and in bits, and the share of right tokens."""
    apart, told = _told(outputs, batch)
    weight = weights(batch)[:, None] * told
    right = outputs.argmax(-1) == batch["token"][:, 1:]
    return dict(
        cross_entropy=Mean.of(apart, weight),
        bits=Mean.of(apart / jnp.log(2.0), weight),
        accuracy=Mean.of(right, weight),
    )


def _read(batch: Batch) -> Int[Array, "batch length"]:
    return jnp.asarray(batch["token"])[:, :-1]


def _told(
    outputs: Float[Array, "batch length vocabulary"], batch: Batch
) -> tuple[Float[Array, "batch length"], Float[Array, "batch length"]]:
    """Cross-entropy of each token that is told, and whether it counts."""
    apart = optax.losses.softmax_cross_entropy_with_integer_labels(
        outputs, jnp.asarray(batch["token"])[:, 1:].astype(jnp.int32)
    )
    if "valid" not in batch:
        return apart, jnp.ones_like(apart)
    return apart, jnp.asarray(batch["valid"])[:, 1:].astype(jnp.float32)
