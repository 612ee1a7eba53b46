"""The compiled ladder: compact execution of one model at several budgets."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Shaped

from dynsparse.budgets import (
    averages_at,
    densities_at,
    fix_densities,
    has_density,
    spread_of,
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
from dynsparse.whole import write_json

Batch = Shaped[Array, "n *shape"] | Shaped[np.ndarray, "n *shape"]
Inputs = Shaped[Array, "..."] | Shaped[np.ndarray, "..."]  # of any number


@dataclasses.dataclass(frozen=True)
class Rung:
    """One budget of a model, measured on this machine.

    Attributes:
        density: Of the top-k gates together; None for gates of a varying count.
        budget: MACs that it spends, as a fraction of the dense ones: exactly where
            every gate fixes its count, else the mean over the examples of `compile`.
        seconds: Median time of one pass, by batch size.
        peak_bytes: Most memory that a pass needs, its parameters included, by batch
            size.
    """

    density: float | None
    budget: float
    seconds: Mapping[int, float]
    peak_bytes: Mapping[int, int]


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
    """

    def __init__(
        self,
        *,
        rungs: Sequence[Rung],
        batch_sizes: Sequence[int],
        programs: Mapping[tuple[int, int], Any],
        averages: Sequence[Any],
        state: Any,
    ):
        self.rungs = tuple(rungs)
        self.batch_sizes = tuple(sorted(batch_sizes))
        self.averages = tuple(averages)
        self.state = state
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
        repeats: int = 20,
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
            repeats: Timed passes of each program, of which the median counts.

        Raises:
            ValueError: If a budget is no fraction or below the floor of the model, or
                none is asked.
        """
        if not budgets or not batch_sizes or min(batch_sizes) < 1:
            raise ValueError(
                "a ladder needs at least one budget and batch sizes of at least 1, got "
                f"budgets={tuple(budgets)}, batch_sizes={tuple(batch_sizes)}."
            )
        one = jax.ShapeDtypeStruct((1, *examples.shape[1:]), examples.dtype)
        prices = Prices(model, one)
        densities = _densities(model, prices, budgets)
        _, seen, state = nnx.split(model, nnx.BatchStat, ...)
        programs, calls, spent, averages = {}, {}, [], []
        for index, density in enumerate(densities):
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
        return cls(
            rungs=rungs,
            batch_sizes=batch_sizes,
            programs=programs,
            averages=averages,
            state=state,
        )

    def __call__(self, rung: int, x: Batch) -> np.ndarray:
        """Returns the model's output for `x` at a rung.

        Args:
            rung: Index into `rungs`.
            x: Any number of examples, at least one.
        """
        largest, pieces = self.batch_sizes[-1], []
        for start in range(0, len(x), largest):
            piece = x[start : start + largest]
            size = self.fitting(len(piece))
            held = self.averages[rung], self.state
            output = self._programs[rung, size](*held, _filled(piece, size))
            pieces.append(np.asarray(output)[: len(piece)])
        return np.concatenate(pieces)

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
    model: nnx.Module, prices: Prices, budgets: Sequence[float]
) -> Sequence[float | None]:
    if not has_density(model):
        return [None]
    spread = spread_of(model)
    return sorted({largest_density(prices, budget, spread) for budget in budgets})


def _budget(fast: nnx.Module, prices: Prices, examples: Batch) -> float:
    masks = run_gates(fast, jnp.asarray(examples))
    return itemize(prices, masks, num_examples=len(examples)).budget


def _compile(fast: nnx.Module, averages: Any, state: Any, examples: Batch, size: int):
    graphdef, *_ = nnx.split(fast, nnx.BatchStat, ...)
    shape = jax.ShapeDtypeStruct((size, *examples.shape[1:]), examples.dtype)

    def run(averages, state, x):
        return nnx.merge(graphdef, averages, state)(x)

    return jax.jit(run).lower(averages, state, shape).compile()


def _filled(x: Batch, size: int) -> np.ndarray:
    """`size` examples: those of `x`, in turn."""
    if len(x) == size:
        return np.asarray(x)
    return np.asarray(x)[np.arange(size) % len(x)]
