"""The contract of a task, and of the data that it is made of."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from dynsparse._internal.require import require
from dynsparse.data import Source, read_batch
from dynsparse.tasks import Mean, Task, weights

_SPLITS = ("train", "validation", "test")
_BATCH = 4  # examples of a check


def check_task(task: Task, model: Callable[..., PyTree] | None = None):
    """Refuses a task that training cannot use.

    Sources have examples, alike in all splits; inputs are finite and lead with the axis
    of the batch; augmentation keeps the arrays of a batch. With a model: losses are
    finite, one an example; scores are means that name the metric, add up over batches,
    and do not see padding.

    Args:
        task: What is learned.
        model: Called as the task says, without state that a call changes.

    Raises:
        ValueError: With what is wrong, in words.

    Example:
        >>> from dynsparse.tasks import images
        >>> stripes = np.zeros((8, 6, 6, 1), np.uint8)
        >>> source = data.Arrays(dict(image=stripes, label=np.arange(8) % 2))
        >>> splits = data.Splits(
        ...     train=source, validation=source, test=source, facts=dict(num_classes=2)
        ... )
        >>> model = lambda x: x.reshape(len(x), -1)[:, :2]
        >>> testing.check_task(images.make(splits), model)
    """
    for name in _SPLITS:
        _check_source(name, getattr(task, name), task.splits.example)
    number = min(_BATCH, len(task.train))
    batch = read_batch(task.train, range(number))
    call = task.call(batch)
    require(
        call.num_examples == number,
        f"inputs must lead with the axis of the batch, {number}, got {call}",
    )
    finite = all(bool(np.isfinite(x).all()) for x in map(np.asarray, call.arrays))
    require(finite, "inputs must be finite")
    changed = task.augment(batch, jax.random.key(0))
    _check_like("augment", changed, batch)
    if model is not None:
        _check_scores(task, call(model), batch)


def _check_source(name: str, source: Source, example: Mapping[str, Any]):
    require(len(source) > 0, f"{name} is empty")
    for index in {0, len(source) // 2, len(source) - 1}:
        record = {key: np.asarray(value) for key, value in source[index].items()}
        told = f"{name}[{index}]"
        require(
            record.keys() == example.keys(),
            f"{told} must have {sorted(example)}, got {sorted(record)}",
        )
        for key, array in record.items():
            wanted = example[key]
            require(
                array.shape == wanted.shape and array.dtype == wanted.dtype,
                f"{told}[{key!r}] must be {wanted.dtype} {list(wanted.shape)}, got "
                f"{array.dtype} {list(array.shape)}",
            )


def _check_like(what: str, found: Mapping[str, Any], batch: Mapping[str, Any]):
    """Refuses a batch of other arrays than another one; more are allowed."""
    for name, array in batch.items():
        require(name in found, f"{what} must keep {name!r}, got {sorted(found)}")
        wanted, got = ((x.shape, str(x.dtype)) for x in (array, found[name]))
        require(
            wanted == got,
            f"{what} must keep shape and type of {name!r}, {wanted}, got {got}",
        )


def _check_scores(task: Task, outputs: PyTree, batch: Mapping[str, Any]):
    number = len(weights(batch))
    losses = task.losses(outputs, batch)
    require(
        losses.shape == (number,),
        f"losses must be one an example, ({number},), got {losses.shape}",
    )
    require(bool(jnp.isfinite(losses).all()), "losses must be finite")
    whole = task.scores(outputs, batch)
    require(
        all(isinstance(score, Mean) for score in whole.values()),
        f"scores must be dynsparse.tasks.Mean, got {whole}",
    )
    values = {name: float(score.value) for name, score in whole.items()}
    told = task.finish(values)
    require(
        task.metric in told,
        f"the metric {task.metric!r} is none of the scores, {sorted(told)}",
    )
    part = lambda start, stop: task.scores(
        jax.tree.map(lambda x: x[start:stop], outputs),
        {name: array[start:stop] for name, array in batch.items()},
    )
    both = jax.tree.map(jnp.add, part(0, 1), part(1, number))
    _check_equal("scores over batches must add up to those over the whole", both, whole)
    first = jnp.arange(number) < 1
    padded = task.scores(outputs, dict(batch) | dict(weight=weights(batch) * first))
    _check_equal("scores must not see examples of weight 0", padded, part(0, 1))


def _check_equal(words: str, found: PyTree, wanted: PyTree):
    close = jax.tree.map(lambda x, y: bool(jnp.allclose(x, y)), found, wanted)
    require(all(jax.tree.leaves(close)), f"{words}, got {found} and {wanted}")
