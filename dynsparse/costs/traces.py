"""Traces of a gated model: its MACs at given counts of open units."""

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


class Macs(NamedTuple):
    """MACs of one example at given counts of open units.

    Attributes:
        host: MACs of all but the gates, dead code included: with every unit closed the
            stem is dead code, but not free.
        gates: MACs of the gates whose decision is read, their scorers included.
    """

    host: int
    gates: int


@dataclasses.dataclass(frozen=True)
class Traced:
    """Structure and shapes of a model and its input: all that prices depend on.

    Attributes:
        structure: Structure of the model.
        tree: Tree structure of its state.
        leaves: Shapes of its state.
        example: Shape of its input.
        while_bound: Iterations to assume for each `while` loop that multiplies.
    """

    structure: Structure
    tree: Any
    leaves: tuple[jax.ShapeDtypeStruct, ...]
    example: jax.ShapeDtypeStruct
    while_bound: int | None

    @classmethod
    def of(cls, model: nnx.Module, example: Any, while_bound: int | None) -> "Traced":
        """Returns the structure and shapes of `model` and `example`."""
        structure, state = Structure.split(evaluating(model, execution="compact"))
        leaves, tree = jax.tree.flatten(state)
        shape = lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype)
        shapes = tuple(map(shape, leaves))
        return cls(structure, tree, shapes, shape(example), while_bound)

    def model(self) -> Any:
        """Returns the model, with shapes in place of arrays."""
        return self.structure.merge(jax.tree.unflatten(self.tree, self.leaves))

    def mask_shapes(self) -> dict[str, tuple[int, ...]]:
        """Returns the shape of each layer's decision for one example, by its path."""
        graphdef, state = nnx.split(evaluating(self.model(), execution="dense"))

        def run(state, example):
            _, captured = nnx.capture(nnx.merge(graphdef, state), GateRecord)(example)
            return {name: output.mask for name, output in records(captured).items()}

        masks = jax.eval_shape(run, state, self.example)
        return {name: mask.shape[1:] for name, mask in masks.items()}


@functools.lru_cache(maxsize=1 << 16)
def macs_at(traced: Traced, opened: Opened) -> Macs:
    """Returns the MACs of one example at given counts of open units; cached.

    Args:
        traced: Model without its arrays.
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
    return Macs(host, gates)
