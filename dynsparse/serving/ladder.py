"""Ladder of compiled programs: compact execution of one model at several budgets."""

import dataclasses
import functools
import pathlib
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dynsparse._internal.atomic_write import write_json
from dynsparse._internal.structure import Structure
from dynsparse.budgets import averages_at, densities_at, fix_densities
from dynsparse.costs import Prices, itemize, median_seconds, peak_bytes, run_gates
from dynsparse.gates import evaluating
from dynsparse.serving.budgets import bought_densities
from dynsparse.serving.checks import Batch, Inputs, Labelled, check, checked
from dynsparse.serving.rung import Rung, front


class Ladder:
    """Compiled compact executions of one model, one per budget, cheapest first.

    The parameters are an argument of every program: there is one copy of them, and
    every rung answers with what `state` holds now.

    Attributes:
        rungs: Budgets, from the cheapest to the most expensive.
        batch_sizes: Compiled batch sizes, in rising order. Other batches are padded or
            split: nothing is compiled after `compile`.
        batch_stats: Running statistics of BatchNorm, by rung.
        state: All other arrays of the model.
        example: Shape and type of one example; None to accept any.

    A ladder without programs serves to try signals and controllers:

    >>> rungs = [serving.Rung(budget=b, seconds={1: b / 100}) for b in (0.25, 0.5, 1.0)]
    >>> serving.Ladder(rungs=rungs).seconds(1, number=3)
    0.015

    Compiled, it runs a model at every budget:

    >>> rngs = nnx.Rngs(0, gate=1)
    >>> mlp = layers.Mlp.create(width=4, hidden=8, rngs=rngs)
    >>> gate = dict(name="hard_topk", density=1.0)
    >>> model = layers.gated(
    ...     mlp, granularity="width", num_slices=4, gate=gate, rngs=rngs
    ... )
    >>> x = np.ones((2, 3, 4), np.float32)
    >>> ladder = serving.Ladder.compile(
    ...     model, examples=x, budgets=(0.5, 1.0), batch_sizes=(2,), repeats=1
    ... )
    >>> [(rung.density, rung.budget) for rung in ladder.rungs]
    [(0.5, 0.5), (1.0, 1.0)]
    >>> ladder(0, x).shape
    (2, 3, 4)
    """

    def __init__(
        self,
        *,
        rungs: Sequence[Rung],
        batch_sizes: Sequence[int] = (1,),
        programs: Mapping[tuple[int, int], Any] = types.MappingProxyType({}),
        batch_stats: Sequence[Any] = (),
        state: Any = None,
        example: jax.ShapeDtypeStruct | None = None,
    ):
        self.rungs = tuple(rungs)
        self.batch_sizes = tuple(sorted(batch_sizes))
        self.batch_stats = tuple(batch_stats)
        self.state = state
        self.example = example
        self._programs = dict(programs)

    @classmethod
    def compile(
        cls,
        model: nnx.Module,
        *,
        examples: Batch,
        budgets: Sequence[float],
        batch_sizes: Sequence[int],
        inputs: Sequence[Inputs] = (),
        labelled: Labelled | None = None,
        least_density: float = 0.0,
        repeats: int = 20,
        watch: Callable[[str], None] = lambda words: None,
    ) -> "Ladder":
        """Compiles, warms up and measures every rung.

        Args:
            model: Any model with gated layers that maps one array to one array.
            examples: At least one real input, to time the programs with.
            budgets: Fractions of the dense MACs, in (0, 1]. Each buys the largest
                density that it pays for; budgets that buy the same become one rung. A
                model whose gates have no density has one rung, whatever the budgets.
            batch_sizes: Examples per pass, at least 1.
            inputs: Training batches, from which the running statistics of BatchNorm are
                re-estimated at each density (`budgets.averages_at`); without them every
                rung has those of the model.
            labelled: Held-out examples and their classes, such as a validation split,
                on which the accuracy of each rung is measured.
            least_density: Density, in [0, 1], below which there is no rung: a model is
                seldom of use below the densities that it was trained at.
            repeats: Timed passes per program, of which the median counts.
            watch: Called with a line that says what comes next; what it raises ends the
                compilation.

        Raises:
            ValueError: If a budget is not in (0, 1] or below the floor of the model,
                there are no budgets or no examples, or another value is out of range.
        """
        check(examples, budgets, batch_sizes, labelled, least_density, repeats)
        watch("billing the model")
        one = jax.ShapeDtypeStruct((1, *examples.shape[1:]), examples.dtype)
        prices = Prices(model, one)
        densities = bought_densities(model, prices, budgets, least_density)
        _, trained, state = nnx.split(model, nnx.BatchStat, ...)
        programs, calls, spent, batch_stats = {}, {}, [], []
        for index, density in enumerate(densities):
            watch(f"compiling rung {index}, the last being {len(densities) - 1}")
            view, stats = evaluating(model, execution="compact"), trained
            if density is not None:
                view = fix_densities(view, densities_at(model, density))
                if inputs:
                    stats = averages_at(model, density, map(jnp.asarray, inputs))
            spent.append(_budget(view, prices, examples))
            batch_stats.append(stats)
            for size in batch_sizes:
                program = _compile(view, stats, state, examples, size)
                programs[index, size] = program
                held = stats, state, _filled(examples, size)
                calls[index, size] = functools.partial(program, *held)
        watch("timing the rungs")
        seconds = median_seconds(calls, repeats=repeats)
        measured = lambda index, of: {size: of(index, size) for size in batch_sizes}
        ladder = cls(
            rungs=[
                Rung(
                    budget=spent[index],
                    seconds=measured(index, lambda *key: seconds[key]),
                    peak_bytes=measured(index, lambda *key: peak_bytes(programs[key])),
                    density=density,
                )
                for index, density in enumerate(densities)
            ],
            batch_sizes=batch_sizes,
            programs=programs,
            batch_stats=batch_stats,
            state=state,
            example=jax.ShapeDtypeStruct(examples.shape[1:], examples.dtype),
        )
        if labelled is not None:
            ladder.rungs = tuple(ladder._with_accuracy(labelled, watch))
        return ladder

    def __call__(self, rung: int, x: Batch) -> np.ndarray:
        """Returns the model's output for `x` at a rung.

        Args:
            rung: Index into `rungs`.
            x: Any number of examples, at least one.

        Raises:
            ValueError: As `checked`.
        """
        x = self.checked(x)
        largest, pieces = self.batch_sizes[-1], []
        for start in range(0, len(x), largest):
            piece = x[start : start + largest]
            size = self.fitting(len(piece))
            held = self.batch_stats[rung], self.state
            output = self._programs[rung, size](*held, _filled(piece, size))
            pieces.append(np.asarray(output)[: len(piece)])
        return np.concatenate(pieces)

    def checked(self, x: Batch) -> np.ndarray:
        """Returns `x` as the programs take it, in native byte order.

        Raises:
            ValueError: If there is no example, or the examples are of another shape or
                type than those that the ladder was compiled for.
        """
        return checked(x, self.example)

    def front(self, least_accuracy: float = 0.0) -> tuple[int, ...]:
        """Returns the rungs worth using, from the fastest to the most accurate.

        Each is more accurate than all that are faster. Where accuracy was not measured,
        all rungs are returned.

        Args:
            least_accuracy: Accuracy that each returned rung has at least, in [0, 1].

        Raises:
            ValueError: If no rung has the least accuracy, or none was measured.
        """
        return front(self.rungs, self.batch_sizes[-1], least_accuracy)

    def fitting(self, number: int) -> int:
        """Returns the smallest compiled batch size for `number` examples.

        It is the largest one where none is large enough.
        """
        return next((s for s in self.batch_sizes if s >= number), self.batch_sizes[-1])

    def seconds(self, rung: int, number: int) -> float:
        """Returns the measured time of `number` examples on an idle machine."""
        whole, rest = divmod(number, self.batch_sizes[-1])
        measured = self.rungs[rung].seconds
        last = measured[self.fitting(rest)] if rest else 0.0
        return whole * measured[self.batch_sizes[-1]] + last

    def table(self) -> list[dict[str, Any]]:
        """Returns one row of plain values per rung and batch size."""
        return [
            dict(
                rung=index,
                density=rung.density,
                budget=rung.budget,
                validation_accuracy=rung.accuracy,
                batch_size=size,
                latency_ms=1e3 * rung.seconds[size],
                peak_megabytes=rung.peak_bytes[size] / 1e6,
            )
            for index, rung in enumerate(self.rungs)
            for size in self.batch_sizes
        ]

    def save(self, path: pathlib.Path):
        """Writes the table as JSON, atomically."""
        write_json(path, self.table())

    def _with_accuracy(
        self, labelled: Labelled, watch: Callable[[str], None]
    ) -> Iterator[Rung]:
        x, labels = labelled
        for index, rung in enumerate(self.rungs):
            watch(f"validating rung {index}, the last being {len(self.rungs) - 1}")
            right = self(index, x).argmax(-1) == labels
            yield dataclasses.replace(rung, accuracy=float(right.mean()))


def _budget(view: nnx.Module, prices: Prices, examples: Batch) -> float:
    masks = run_gates(view, jnp.asarray(examples))
    return itemize(prices, masks, num_examples=len(examples)).budget


def _compile(view: nnx.Module, stats: Any, state: Any, examples: Batch, size: int):
    structure, *_ = Structure.split(view, nnx.BatchStat, ...)
    shape = jax.ShapeDtypeStruct((size, *examples.shape[1:]), examples.dtype)
    leaves, tree = jax.tree.flatten((stats, state, shape))
    shapes = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in leaves)
    return _compiled(structure, tree, shapes)


@functools.lru_cache(maxsize=256)
def _compiled(structure: Structure, tree: Any, shapes: tuple) -> jax.stages.Compiled:
    """The program of a rung; ladders of one structure share their programs."""

    def run(stats, state, x):
        return structure.merge(stats, state)(x)

    return jax.jit(run).lower(*jax.tree.unflatten(tree, shapes)).compile()


def _filled(x: Batch, size: int) -> np.ndarray:
    """`x`, repeated from its start until there are `size` examples."""
    if len(x) == size:
        return np.asarray(x)
    return np.asarray(x)[np.arange(size) % len(x)]
