"""Traces of a gated model: its MACs at given counts of open units."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
from flax import nnx

from dynsparse._internal.call import Call
from dynsparse._internal.scopes import GATE_SCOPE
from dynsparse._internal.structure import Structure
from dynsparse.costs.macs import count_jaxpr, live
from dynsparse.gates import capture, evaluating, records

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
    """Structure and shapes of a model and its call: all that prices depend on.

    Attributes:
        structure: Structure of the model.
        tree: Tree structure of its state and its call.
        leaves: Shapes of both.
        while_bound: Iterations to assume for each `while` loop that multiplies.
    """

    structure: Structure
    tree: Any
    leaves: tuple[jax.ShapeDtypeStruct, ...]
    while_bound: int | None

    @classmethod
    def of(cls, model: nnx.Module, asked: Call, while_bound: int | None) -> "Traced":
        """Returns the structure and shapes of `model` and of a call of it."""
        structure, state = Structure.split(evaluating(model, execution="compact"))
        leaves, tree = jax.tree.flatten((state, asked))
        shape = lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype)
        return cls(structure, tree, tuple(map(shape, leaves)), while_bound)

    def model(self) -> Any:
        """Returns the model, with shapes in place of arrays."""
        return self.structure.merge(jax.tree.unflatten(self.tree, self.leaves)[0])

    def call(self) -> Call:
        """Returns the call, with shapes in place of arrays."""
        return jax.tree.unflatten(self.tree, self.leaves)[1]


@functools.lru_cache(maxsize=1 << 10)
def mask_shapes(traced: Traced) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each layer's decision for one example; cached.

    Args:
        traced: Model without its arrays.

    Returns:
        Shapes by path; to be read, not changed.

    Raises:
        ValueError: If the model fails on the call.
    """
    graphdef, state = nnx.split(evaluating(traced.model(), execution="dense"))

    def run(state, asked):
        _, captured = asked(capture(nnx.merge(graphdef, state)))
        return {name: output.mask for name, output in records(captured).items()}

    try:
        masks = jax.eval_shape(run, state, traced.call())
    except Exception as error:  # whatever it is, it is the model's
        raise ValueError(
            f"the model is priced on {traced.call()} and fails: {error} (The first "
            "array of a call tells the batch: give one whose size no other argument "
            "has.)"
        ) from error
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

    def run(state, asked):  # the decisions are outputs, hence never dead code
        return asked(capture(nnx.merge(graphdef, state)))

    jaxpr = jax.make_jaxpr(run)(state, traced.call()).jaxpr
    host = gates = 0
    for scope, macs in count_jaxpr(jaxpr, while_bound=traced.while_bound).items():
        host += 0 if GATE_SCOPE in scope else macs
    for scope, macs in count_jaxpr(live(jaxpr), while_bound=traced.while_bound).items():
        gates += macs if GATE_SCOPE in scope else 0
    return Macs(host, gates)
