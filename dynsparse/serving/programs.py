"""Programs of a ladder: compiled once per structure, and what they answer."""

import functools
from typing import Any

import jax
from flax import nnx
from jaxtyping import PyTree

from dynsparse._internal.call import Call
from dynsparse._internal.structure import Structure
from dynsparse.gates import evaluating
from dynsparse.serving.requests import Requests


def compiled(
    view: nnx.Module, stats: Any, state: Any, asked: Call
) -> jax.stages.Compiled:
    """Returns the program that runs a model on a call.

    Args:
        view: Model, as it is to be executed.
        stats: Its `nnx.BatchStat` state, the first argument of the program.
        state: All other state of it, the second argument.
        asked: Shapes of the call, the third argument.
    """
    structure, *_ = Structure.split(view, nnx.BatchStat, ...)
    leaves, tree = jax.tree.flatten((stats, state, asked))
    shapes = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in leaves)
    return _compiled(structure, tree, shapes)


@functools.lru_cache(maxsize=256)
def _compiled(structure: Structure, tree: Any, shapes: tuple) -> jax.stages.Compiled:
    """The program of a rung; ladders of one structure share their programs."""

    def run(stats, state, asked):
        return asked(structure.merge(stats, state))

    return jax.jit(run).lower(*jax.tree.unflatten(tree, shapes)).compile()


def answers(model: nnx.Module, requests: Requests) -> PyTree[bool]:
    """Returns which arrays of a model's output have the axis of the examples.

    Args:
        model: Any model; it is traced for one and for two examples.
        requests: What it is asked.

    Returns:
        A tree like the output, or True alone, for an output that is one array.

    Raises:
        ValueError: If the examples of an array are not its leading axis.
    """
    graphdef, state = nnx.split(evaluating(model, execution="dense"))
    run = lambda state, asked: asked(nnx.merge(graphdef, state))
    one = jax.eval_shape(run, state, requests.shapes(1))
    if isinstance(one, jax.ShapeDtypeStruct):
        return True
    return jax.tree.map(_grows, one, jax.eval_shape(run, state, requests.shapes(2)))


def _grows(one: jax.ShapeDtypeStruct, two: jax.ShapeDtypeStruct) -> bool:
    """Whether an output for two examples has a longer leading axis than for one."""
    if one.shape == two.shape:
        return False
    if one.shape[:1] == (1,) and two.shape == (2, *one.shape[1:]):
        return True
    raise ValueError(
        f"an output of the model has the shape {one.shape} for one example and "
        f"{two.shape} for two: the leading axis must be that of the examples."
    )
