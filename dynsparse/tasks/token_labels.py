"""A label for some tokens of a sequence, such as the answers to queries."""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from dynsparse.data import Splits
from dynsparse.tasks.base import Batch, Mean, Task, weights

MODEL_KEYS = ("vocabulary", "length")


def make(splits: Splits) -> Task:
    """Makes the task of labelling the tokens of a sequence that have a label.

    Args:
        splits: Examples have `token`, an integer [length] in [0, vocabulary), and
            `target`, an integer [length] in [0, vocabulary) or -1 where there is
            nothing to tell; `vocabulary` is a fact of the data. `relevant`, bool
            [length], says which tokens matter, where that is known.

    Raises:
        ValueError: If the data lack what is needed.

    >>> arrays = dict(token=np.zeros((2, 4), np.int32), target=np.full((2, 4), -1))
    >>> source = data.Arrays(arrays)
    >>> splits = data.Splits(
    ...     train=source, validation=source, test=source, facts=dict(vocabulary=8)
    ... )
    >>> from dynsparse.tasks import token_labels
    >>> token_labels.make(splits).model
    {'vocabulary': 8, 'length': 4}
    """
    vocabulary, example = splits.facts.get("vocabulary"), splits.example
    missing = [name for name in ("token", "target") if name not in example]
    if missing or not isinstance(vocabulary, int):
        raise ValueError(
            "task: token_labels needs examples with token and target, and the fact "
            f"vocabulary; got {sorted(example)} and facts {sorted(splits.facts)}."
        )
    (length,) = example["token"].shape
    return Task(
        splits=splits,
        inputs=_read,
        losses=losses,
        scores=scores,
        metric="accuracy",
        model=dict(vocabulary=vocabulary, length=length),
        facts=splits.known(),
        relevant=_relevant if "relevant" in example else None,
        noun="sequence",
    )


def losses(
    outputs: Float[Array, "batch length vocabulary"], batch: Batch
) -> Float[Array, "batch"]:
    """Cross-entropy of each sequence, in nats, mean over the tokens with a label."""
    target = jnp.asarray(batch["target"])
    labelled = (target >= 0).astype(jnp.float32)
    apart = optax.losses.softmax_cross_entropy_with_integer_labels(
        outputs, jnp.maximum(target, 0)
    )
    return (apart * labelled).sum(1) / jnp.maximum(labelled.sum(1), 1)


def scores(
    outputs: Float[Array, "batch length vocabulary"], batch: Batch
) -> dict[str, Mean]:
    """Share of right labels, and of sequences in which all are right."""
    target, weight = jnp.asarray(batch["target"]), weights(batch)
    right, labelled = outputs.argmax(-1) == target, target >= 0
    return dict(
        accuracy=Mean.of(right, weight[:, None] * labelled),
        exact=Mean.of((right | ~labelled).all(1), weight),
    )


def _read(batch: Batch) -> Int[Array, "batch length"]:
    return jnp.asarray(batch["token"])


def _relevant(batch: Batch) -> Bool[Array, "batch length"]:
    return jnp.asarray(batch["relevant"])
