"""The task: sources of examples, inputs of a model, losses and scores."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree, Shaped

from dynsparse._internal.call import Call, call
from dynsparse.budgets import softmax_kl
from dynsparse.data import Source, Splits

Batch = Mapping[str, Any]  # arrays by name, each [batch, ...]


class Mean(NamedTuple):
    """A mean that is still a sum: added over batches and devices, divided at the end.

    Attributes:
        total: Sum of the values, each times its weight.
        count: Sum of the weights.

    >>> two = [tasks.Mean.of(jnp.array([1.0, 3.0]), jnp.array([1.0, 0.0])),
    ...        tasks.Mean.of(jnp.array([4.0, 5.0]), jnp.array([1.0, 1.0]))]
    >>> float(jax.tree.map(lambda *sums: sum(sums), *two).value)
    3.3333332538604736
    """

    total: Any
    count: Any

    @classmethod
    def of(cls, values: Shaped[Array, "..."], weight: Shaped[Array, "..."]) -> "Mean":
        """Returns the mean of `values` by `weight`, which may broadcast.

        Args:
            values: Numbers; those of weight 0 may be anything but nan.
            weight: At least 0.
        """
        values, weight = jnp.broadcast_arrays(
            values.astype(jnp.float32), weight.astype(jnp.float32)
        )
        return cls((values * weight).sum(), weight.sum())

    @property
    def value(self) -> Any:
        """The mean; nan of nothing."""
        return self.total / self.count


class Shown(NamedTuple):
    """What a task may draw: some examples, and what a model made of them.

    Attributes:
        batch: Examples as the source has them, [n, ...].
        densities: Density of each point of the curve.
        outputs: Outputs of the model for the examples, by point.
        masks: Masks of the gates for the examples, by point, each by gate.
        grid: Where the tokens of the model lie on an image; None for other models.
    """

    batch: Mapping[str, Any]
    densities: Sequence[float]
    outputs: Sequence[PyTree]
    masks: Sequence[Mapping[str, Any]]
    grid: Any = None


def _unchanged(batch: Batch, key: PRNGKeyArray) -> Batch:
    del key
    return batch


def _as_they_are(means: Mapping[str, float]) -> Mapping[str, float]:
    return means


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """What is learned, as functions of batches; training knows nothing else.

    A batch is a dict of arrays, [batch, ...]. Where it has `weight`, [batch], examples
    of weight 0 are padding. All functions but `finish` and `draw` are pure and run
    inside compiled programs; where two tasks have equal functions (module-level ones,
    or frozen dataclasses), their runs share the programs.

    >>> def losses(outputs, batch):
    ...     return jnp.square(outputs[:, 0] - batch["y"])
    >>> def scores(outputs, batch):
    ...     return dict(mse=tasks.Mean.of(losses(outputs, batch), tasks.weights(batch)))
    >>> x = np.linspace(0, 1, 8, dtype=np.float32)
    >>> source = data.Arrays(dict(x=x[:, None], y=x**2))
    >>> task = tasks.Task(
    ...     splits=data.Splits(train=source, validation=source, test=source),
    ...     inputs=lambda batch: batch["x"], losses=losses, scores=scores,
    ...     metric="mse", higher_is_better=False, unit="",
    ... )
    >>> task.call(source.read_batch([0, 1]))
    call(float32[2, 1])

    Attributes:
        splits: Sources of examples.
        inputs: How a model is called with a batch, normalisation included: a
            `dynsparse.call`, or the one argument. Training, evaluation, bills, serving
            and restored runs all go through it.
        losses: Of the outputs of a model and a batch, [batch].
        scores: `Mean`s of the outputs and a batch, by name, weighed by `weights`.
        metric: The score that curves draw and comparisons compare.
        higher_is_better: Whether a larger value of it is better.
        unit: Its unit; "%" for shares, which are shown times 100.
        model: Constructor arguments that the data decide.
        facts: What a folder keeps, to make the task again without its data.
        augment: Random change of a batch of training; may change labels, too.
        finish: Makes the numbers that are reported of the means, for what is no mean,
            such as a perplexity.
        distance: Of a student's outputs from a teacher's at a temperature, [batch]:
            `distance(teacher, student, temperature)`.
        relevant: The places of a batch's inputs that matter, [batch, *places], where
            they are known: gates that decide once a place are held against it.
        groups: Number of the group of each example, [batch], such as its class: how
            much what gates open differs between groups is reported.
        draw: Draws examples into a folder, and returns the name of the file; None
            where there is nothing to draw.
        noun: What an example is called, such as "image".
    """

    splits: Splits
    inputs: Callable[[Batch], Any]
    losses: Callable[[PyTree, Batch], Float[Array, "batch"]]
    scores: Callable[[PyTree, Batch], Mapping[str, Mean]]
    metric: str
    higher_is_better: bool = True
    unit: str = "%"
    model: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    facts: Mapping[str, Any] | None = None
    augment: Callable[[Batch, PRNGKeyArray], Batch] = _unchanged
    finish: Callable[[Mapping[str, float]], Mapping[str, float]] = _as_they_are
    distance: Callable[[PyTree, PyTree, Any], Float[Array, "batch"]] = softmax_kl
    relevant: Callable[[Batch], Bool[Array, "batch *places"]] | None = None
    groups: Callable[[Batch], Int[Array, "batch"]] | None = None
    draw: Callable[[pathlib.Path, Shown], str | None] | None = None
    noun: str = "example"

    @property
    def train(self) -> Source:
        """Examples that a model learns from."""
        return self.splits.train

    @property
    def validation(self) -> Source:
        """Examples that every choice is made on."""
        return self.splits.validation

    @property
    def test(self) -> Source:
        """Examples that are reported."""
        return self.splits.test

    def call(self, batch: Batch) -> Call:
        """Returns the call of a model with a batch."""
        return call(self.inputs(batch))

    def example(self, batch_size: int = 1) -> Call:
        """Returns the shapes of the call of a model; reads no data where facts do.

        Args:
            batch_size: Number of examples.
        """
        batch = {
            name: jax.ShapeDtypeStruct((batch_size, *x.shape), x.dtype)
            for name, x in self.splits.example.items()
        }
        return jax.eval_shape(self.call, batch)

    @functools.cached_property
    def _functions(self) -> tuple[Any, ...]:
        """What compiled programs depend on."""
        return (
            self.inputs,
            self.losses,
            self.scores,
            self.augment,
            self.distance,
            self.relevant,
            self.groups,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and self._functions == other._functions

    def __hash__(self) -> int:
        return hash(self._functions)


def weights(batch: Batch) -> Float[Array, "batch"]:
    """Weight of each example of a batch: 1 where it does not say.

    Args:
        batch: With at least one array.

    >>> tasks.weights(dict(x=jnp.zeros((3, 2)))).tolist()
    [1.0, 1.0, 1.0]
    """
    if "weight" in batch:
        return jnp.asarray(batch["weight"], jnp.float32)
    return jnp.ones(len(next(iter(batch.values()))), jnp.float32)
