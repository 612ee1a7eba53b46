"""MACs of a gated model at given counts of open units, from one trace for each."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
from flax import nnx

from dynsparse._internal.scopes import GATE_SCOPE
from dynsparse._internal.structure import Structure
from dynsparse.costs.macs import count_jaxpr, live
from dynsparse.gates import GateRecord, evaluating, records

Opened = tuple[tuple[tuple, int | None], ...]  # by path; None: all, and no decision


class Split(NamedTuple):
    """MACs of a model at some counts.

    Attributes:
        host: Everything but the gates, dead code included: with every unit closed the
            stem is dead, not free.
        gates: The gates whose decision is read, their scorers included.
    """

    host: int
    gates: int


@dataclasses.dataclass(frozen=True)
class Traced:
    """A model and its input without their numbers: all that prices depend on.

    Attributes:
        structure: The model's.
        tree: Structure of its state.
        leaves: Shapes of its state.
        example: Shape of its input.
        while_bound: Iterations to assume of each `while` loop that multiplies.
    """

    structure: Structure
    tree: Any
    leaves: tuple[jax.ShapeDtypeStruct, ...]
    example: jax.ShapeDtypeStruct
    while_bound: int | None

    @classmethod
    def of(cls, model: nnx.Module, example: Any, while_bound: int | None) -> "Traced":
        """Takes the numbers away."""
        structure, state = Structure.split(evaluating(model, execution="compact"))
        leaves, tree = jax.tree.flatten(state)
        shape = lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype)
        shapes = tuple(map(shape, leaves))
        return cls(structure, tree, shapes, shape(example), while_bound)

    def model(self) -> Any:
        """Returns the model, with shapes for arrays."""
        return self.structure.merge(jax.tree.unflatten(self.tree, self.leaves))

    def mask_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the decisions for one example, by the name of the layer."""
        graphdef, state = nnx.split(evaluating(self.model(), execution="dense"))

        def run(state, example):
            _, captured = nnx.capture(nnx.merge(graphdef, state), GateRecord)(example)
            return {name: output.mask for name, output in records(captured).items()}

        masks = jax.eval_shape(run, state, self.example)
        return {name: mask.shape[1:] for name, mask in masks.items()}


@functools.lru_cache(maxsize=1 << 16)
def macs_at(traced: Traced, opened: Opened) -> Split:
    """MACs of one example at some counts; known if they were ever asked for.

    Args:
        traced: The model.
        opened: Open units of each gated layer.
    """
    model = traced.model()
    for path, count in opened:
        at_path = lambda found, _, path=path: tuple(found) == path
        if count is None:
            model = nnx.view(model, only=at_path, execution="dense")
        else:
            model = nnx.view(model, only=at_path, forced_count=count)
    graphdef, state = nnx.split(model)

    def run(state, example):  # the decisions are outputs, hence never dead code
        return nnx.capture(nnx.merge(graphdef, state), GateRecord)(example)

    jaxpr = jax.make_jaxpr(run)(state, traced.example).jaxpr
    host = gates = 0
    for scope, macs in count_jaxpr(jaxpr, while_bound=traced.while_bound).items():
        host += 0 if GATE_SCOPE in scope else macs
    for scope, macs in count_jaxpr(live(jaxpr), while_bound=traced.while_bound).items():
        gates += macs if GATE_SCOPE in scope else 0
    return Split(host, gates)
