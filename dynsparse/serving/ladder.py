"""Ladder of compiled programs: compact execution of one model at several budgets."""

import dataclasses
import functools
import pathlib
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from flax import nnx
from jaxtyping import PyTree

from dynsparse._internal.atomic_write import write_json
from dynsparse._internal.call import Call, call
from dynsparse.budgets import averages_at, densities_at, fix_densities
from dynsparse.costs import Prices, itemize, median_seconds, peak_bytes, run_gates
from dynsparse.gates import evaluating
from dynsparse.serving.budgets import bought_densities
from dynsparse.serving.checks import HeldOut, check
from dynsparse.serving.programs import answers, compiled
from dynsparse.serving.requests import Requests, checked, joined
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
        requests: What a request must look like; None to accept any array.
        answers: Whether each array of the output has the axis of the examples, as a
            tree like the output; True for all.

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

    A model that takes more than one array is compiled for a call, and asked by one:

    >>> class Shifted(nnx.Module):
    ...     def __call__(self, x, *, shift, train):
    ...         return dict(y=mlp(x) + shift)
    >>> import dynsparse
    >>> asked = dynsparse.call(x, shift=x, train=False)
    >>> ladder = serving.Ladder.compile(
    ...     Shifted(), examples=asked, budgets=(1.0,), batch_sizes=(1, 4), repeats=1
    ... )
    >>> ladder(0, asked)["y"].shape
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
        requests: Requests | None = None,
        answers: PyTree = True,
    ):
        self.rungs = tuple(rungs)
        self.batch_sizes = tuple(sorted(batch_sizes))
        self.batch_stats = tuple(batch_stats)
        self.state = state
        self.requests = requests
        self.answers = answers
        self._programs = dict(programs)

    @classmethod
    def compile(
        cls,
        model: nnx.Module,
        *,
        examples: PyTree,
        budgets: Sequence[float],
        batch_sizes: Sequence[int],
        inputs: Sequence[PyTree] = (),
        held_out: HeldOut | None = None,
        least_density: float = 0.0,
        repeats: int = 20,
        watch: Callable[[str], None] = lambda words: None,
    ) -> "Ladder":
        """Compiles, warms up and measures every rung.

        Args:
            model: Any model with gated layers.
            examples: At least one real input, to time the programs with: an array, a
                pytree of arrays, or a `dynsparse.call`, which says how a batch is told.
                Requests must be alike, but for the number of examples.
            budgets: Fractions of the dense MACs, in (0, 1]. Each buys the largest
                density that it pays for; budgets that buy the same become one rung. A
                model whose gates have no density has one rung, whatever the budgets.
            batch_sizes: Examples per pass, at least 1.
            inputs: Training batches, from which the running statistics of BatchNorm are
                re-estimated at each density (`budgets.averages_at`); without them every
                rung has those of the model.
            held_out: Inputs such as those of a validation split, and a function that
                makes a score in [0, 1] of the outputs for them, such as the share of
                right answers; it is measured of each rung.
            least_density: Density, in [0, 1], below which there is no rung: a model is
                seldom of use below the densities that it was trained at.
            repeats: Timed passes per program, of which the median counts.
            watch: Called with a line that says what comes next; what it raises ends the
                compilation.

        Raises:
            ValueError: If a budget is not in (0, 1] or below the floor of the model,
                there are no budgets or no examples, or another value is out of range;
                if the examples of an output are not its leading axis.
        """
        asked = call(examples)
        check(asked, budgets, batch_sizes, held_out, least_density, repeats)
        watch("billing the model")
        requests = Requests.like(asked)
        prices = Prices(model, requests.example)
        densities = bought_densities(model, prices, budgets, least_density)
        _, trained, state = nnx.split(model, nnx.BatchStat, ...)
        programs, calls, spent, batch_stats = {}, {}, [], []
        for index, density in enumerate(densities):
            watch(f"compiling rung {index}, the last being {len(densities) - 1}")
            view, stats = evaluating(model, execution="compact"), trained
            if density is not None:
                view = fix_densities(view, densities_at(model, density))
                if inputs:
                    stats = averages_at(model, density, inputs)
            spent.append(_budget(view, prices, asked))
            batch_stats.append(stats)
            for size in batch_sizes:
                program = compiled(view, stats, state, requests.shapes(size))
                programs[index, size] = program
                held = stats, state, requests.filled(asked, size)
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
            requests=requests,
            answers=answers(model, requests),
        )
        if held_out is not None:
            ladder.rungs = tuple(ladder._scored(held_out, watch))
        return ladder

    def __call__(self, rung: int, x: PyTree) -> PyTree:
        """Returns the model's output for `x` at a rung, as arrays of numpy.

        Args:
            rung: Index into `rungs`.
            x: Any number of examples, at least one: an array, a pytree of arrays, or a
                `dynsparse.call`, as the examples were that the ladder was compiled for.

        Raises:
            ValueError: As `checked`.
        """
        asked = self.checked(x)
        requests = self.requests or Requests.like(asked)
        largest, outputs, counts = self.batch_sizes[-1], [], []
        for start in range(0, asked.num_examples, largest):
            counts.append(min(asked.num_examples - start, largest))
            size = self.fitting(counts[-1])
            held = self.batch_stats[rung], self.state
            program = self._programs[rung, size]
            outputs.append(program(*held, requests.filled(asked, size, start)))
        return joined(outputs, counts, self.answers)

    def checked(self, x: PyTree) -> Call:
        """Returns a request as the programs take it, in native byte order.

        Raises:
            ValueError: If there is no example, or the request does not look like the
                examples that the ladder was compiled for.
        """
        return checked(x, self.requests)

    def front(self, least_score: float = 0.0) -> tuple[int, ...]:
        """Returns the rungs worth using, from the fastest to the most accurate.

        Each has a higher score than all that are faster. Where it was not measured,
        all rungs are returned.

        Args:
            least_score: Score that each returned rung has at least, in [0, 1].

        Raises:
            ValueError: If no rung has the least score, or none was measured.
        """
        return front(self.rungs, self.batch_sizes[-1], least_score)

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
                validation_score=rung.score,
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

    def _scored(
        self, held_out: HeldOut, watch: Callable[[str], None]
    ) -> Iterator[Rung]:
        x, score = held_out
        for index, rung in enumerate(self.rungs):
            watch(f"validating rung {index}, the last being {len(self.rungs) - 1}")
            yield dataclasses.replace(rung, score=float(score(self(index, x))))


def _budget(view: nnx.Module, prices: Prices, asked: Call) -> float:
    masks = run_gates(view, asked)
    return itemize(prices, masks, num_examples=asked.num_examples).budget
