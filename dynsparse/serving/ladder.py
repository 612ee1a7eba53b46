"""The compiled ladder: compact execution of one model at several budgets."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dynsparse._internal.atomic_write import write_json
from dynsparse._internal.structure import Structure
from dynsparse.budgets import (
    averages_at,
    densities_at,
    density_map,
    fix_densities,
    has_density,
)
from dynsparse.costs import (
    Prices,
    itemize,
    largest_density,
    median_seconds,
    peak_bytes,
    run_gates,
)
from dynsparse.gates.base import evaluating
from dynsparse.serving.examples import Batch, Inputs, Labelled, check, checked
from dynsparse.serving.rung import Rung, front


class Ladder:
    """Ahead-of-time compiled compact executions of one model, cheapest first.

    The parameters are an argument of every program: there is one copy of them, and a
    ladder answers with what `state` holds.

    Attributes:
        rungs: From the cheapest to the dearest.
        averages: Of the norms, by rung.
        batch_sizes: In rising order. Other batches are padded, or cut in pieces:
            nothing is compiled after `compile`.
        state: The arrays of the model, but for `averages`.
        example: Shape and type of one example; None where anything is taken.
    """

    def __init__(
        self,
        *,
        rungs: Sequence[Rung],
        batch_sizes: Sequence[int],
        programs: Mapping[tuple[int, int], Any],
        averages: Sequence[Any],
        state: Any,
        example: jax.ShapeDtypeStruct | None = None,
    ):
        self.rungs = tuple(rungs)
        self.batch_sizes = tuple(sorted(batch_sizes))
        self.averages = tuple(averages)
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
            model: Any model with gated layers; what it maps `examples` to is an array.
            examples: Real inputs, with which programs are timed: at least one.
            budgets: Fractions of the dense MACs, in (0, 1]. Each buys the largest
                density that it pays for; those that buy the same are one rung. A model
                whose gates have no density has one rung, whatever is asked.
            batch_sizes: Examples per pass, at least 1.
            inputs: Batches of the training: the running averages of norms become
                those of each density (`budgets.averages_at`); without, every rung has
                those of the model.
            labelled: Examples and their classes that no training has seen, such as a
                validation split, on which each rung's accuracy is measured.
            least_density: In [0, 1]; no rung is below it. A model is seldom of use
                below the densities that it was trained at.
            repeats: Timed passes of each program, of which the median counts.
            watch: Hears what comes next, in words; what it raises ends the work.

        Raises:
            ValueError: If a budget is no fraction or below the floor of the model, none
                is asked, there are no examples, or another value is out of range.
        """
        check(examples, budgets, batch_sizes, labelled, least_density, repeats)
        watch("billing the model")
        one = jax.ShapeDtypeStruct((1, *examples.shape[1:]), examples.dtype)
        prices = Prices(model, one)
        densities = _densities(model, prices, budgets, least_density)
        _, seen, state = nnx.split(model, nnx.BatchStat, ...)
        programs, calls, spent, averages = {}, {}, [], []
        for index, density in enumerate(densities):
            watch(f"compiling rung {index}, the last being {len(densities) - 1}")
            fast, own = evaluating(model, execution="compact"), seen
            if density is not None:
                fast = fix_densities(fast, densities_at(model, density))
                if inputs:
                    own = averages_at(model, density, map(jnp.asarray, inputs))
            spent.append(_budget(fast, prices, examples))
            averages.append(own)
            for size in batch_sizes:
                program = _compile(fast, own, state, examples, size)
                programs[index, size] = program
                held = own, state, _filled(examples, size)
                calls[index, size] = lambda p=program, held=held: p(*held)
        watch("timing the rungs")
        seconds = median_seconds(calls, repeats=repeats)
        rungs = [
            Rung(
                density=density,
                budget=spent[index],
                seconds={size: seconds[index, size] for size in batch_sizes},
                peak_bytes={
                    size: peak_bytes(programs[index, size]) for size in batch_sizes
                },
            )
            for index, density in enumerate(densities)
        ]
        ladder = cls(
            rungs=rungs,
            batch_sizes=batch_sizes,
            programs=programs,
            averages=averages,
            state=state,
            example=jax.ShapeDtypeStruct(examples.shape[1:], examples.dtype),
        )
        if labelled is not None:
            accuracy = []
            for index in range(len(rungs)):
                watch(f"validating rung {index}, the last being {len(rungs) - 1}")
                answers = ladder(index, labelled[0]).argmax(-1)
                accuracy.append(float((answers == labelled[1]).mean()))
            ladder.rungs = tuple(
                dataclasses.replace(rung, accuracy=share)
                for rung, share in zip(rungs, accuracy, strict=True)
            )
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
            held = self.averages[rung], self.state
            output = self._programs[rung, size](*held, _filled(piece, size))
            pieces.append(np.asarray(output)[: len(piece)])
        return np.concatenate(pieces)

    def checked(self, x: Batch) -> np.ndarray:
        """Returns `x` as the programs take it: in this machine's order of bytes.

        Raises:
            ValueError: If there is no example, or examples are of another shape or type
                than those that the ladder was compiled for.
        """
        return checked(x, self.example)

    def front(self, least_accuracy: float = 0.0) -> tuple[int, ...]:
        """The rungs worth choosing, from the fastest to the most accurate.

        Each is more accurate than all that are faster. Where accuracies were not
        measured, they are all rungs.

        Args:
            least_accuracy: That each must have, in [0, 1].

        Raises:
            ValueError: If no rung has the least accuracy, or none was measured.
        """
        return front(self.rungs, self.batch_sizes[-1], least_accuracy)

    def fitting(self, number: int) -> int:
        """The smallest compiled batch that holds `number` examples, or the largest."""
        return next((s for s in self.batch_sizes if s >= number), self.batch_sizes[-1])

    def seconds(self, rung: int, number: int) -> float:
        """Measured time of an answer to `number` examples on an idle machine."""
        whole, rest = divmod(number, self.batch_sizes[-1])
        measured = self.rungs[rung].seconds
        last = measured[self.fitting(rest)] if rest else 0.0
        return whole * measured[self.batch_sizes[-1]] + last

    def table(self) -> list[dict[str, Any]]:
        """One row of plain values per rung and batch size."""
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
        """Writes the table as JSON: the file is there whole or not at all."""
        write_json(path, self.table())


def _densities(
    model: nnx.Module, prices: Prices, budgets: Sequence[float], least: float
) -> Sequence[float | None]:
    if not has_density(model):
        return [None]
    spread = density_map(model)
    bought = (largest_density(prices, budget, spread) for budget in budgets)
    return sorted({max(density, least) for density in bought})


def _budget(fast: nnx.Module, prices: Prices, examples: Batch) -> float:
    masks = run_gates(fast, jnp.asarray(examples))
    return itemize(prices, masks, num_examples=len(examples)).budget


def _compile(fast: nnx.Module, averages: Any, state: Any, examples: Batch, size: int):
    structure, *_ = Structure.split(fast, nnx.BatchStat, ...)
    shape = jax.ShapeDtypeStruct((size, *examples.shape[1:]), examples.dtype)
    leaves, tree = jax.tree.flatten((averages, state, shape))
    shapes = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in leaves)
    return _compiled(structure, tree, shapes)


@functools.lru_cache(maxsize=256)
def _compiled(structure: Structure, tree: Any, shapes: tuple) -> jax.stages.Compiled:
    """The program of a rung; ladders of one structure share theirs."""

    def run(averages, state, x):
        return structure.merge(averages, state)(x)

    return jax.jit(run).lower(*jax.tree.unflatten(tree, shapes)).compile()


def _filled(x: Batch, size: int) -> np.ndarray:
    """`size` examples: those of `x`, in turn."""
    if len(x) == size:
        return np.asarray(x)
    return np.asarray(x)[np.arange(size) % len(x)]
