"""Layers that one module stacks, as `nnx.vmap` makes them and `nnx.scan` runs them."""

from collections.abc import Iterable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from dynsparse._internal.call import Call
from dynsparse._internal.paths import layer_name, part_at, path_name
from dynsparse.gates import capture, evaluating, gated_modules, records
from dynsparse.layers.rules.gated import gated

Module = TypeVar("Module", bound=nnx.Module)
Path = tuple[Any, ...]


def first_layer(stack: Module) -> Module:
    """Copies the first layer of a stack.

    Args:
        stack: All of its arrays have a leading axis for the layers.
    """

    def first(x: Any) -> Any:
        if isinstance(x, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
        return x[0]

    graphdef, state = nnx.split(stack)
    return nnx.merge(graphdef, jax.tree.map(first, state))


def repeated(module: Module, count: int) -> Module:
    """Stacks equal layers.

    Args:
        module: Changed in place.
        count: Number of layers.
    """
    copies = lambda x: jnp.broadcast_to(x, (count, *jnp.shape(x)))
    nnx.update(module, jax.tree.map(copies, nnx.state(module)))
    return module


def gated_layers(host: Any, count: int, rule: dict[str, Any], rngs: nnx.Rngs) -> Any:
    """Builds the gated layer around each layer of a stack, as one module.

    Every layer has a scorer and a gate of its own.

    Args:
        host: The stack.
        count: Number of layers.
        rule: As `gated` takes it.
        rngs: Streams `params` and `gate`.
    """
    one = first_layer(host)

    @nnx.split_rngs(splits=count)
    @nnx.vmap(in_axes=0, out_axes=0)
    def make(rngs: nnx.Rngs) -> Any:
        layer = gated(one, **rule, rngs=rngs)
        layer.host = nnx.Module()  # it is made already
        return layer

    layer = make(rngs)
    layer.host = host
    return layer


def check_recorded(model: nnx.Module, stacks: dict[Path, int | None], example: Call):
    """Checks that decisions come out of the scans that they are made in.

    A model that splits its random streams at every call (`nnx.split_rngs`) wants whole
    ones: where streams of one for each layer will not do, they become such.

    Args:
        model: Gated; streams of its gates may change.
        stacks: Layers of each module that runs in a scan; None where it is one layer.
        example: How the model is called.

    Raises:
        ValueError: If they do not.
    """
    try:
        found = _recorded(model, example)
    except Exception as error:
        for path in stacks:
            _make_whole(part_at(model, path).gate)
        try:
            found = _recorded(model, example)
        except Exception:
            raise error from None
    counts = {id(part_at(model, path)): count for path, count in stacks.items()}
    for path, part in gated_modules(model).items():
        count = counts.get(id(part), 0)
        layers: Iterable[int | None] = [None] if count is None else range(count)
        names = [layer_name(path_name(path), layer) for layer in layers]
        lost = [name for name in names if name not in found]
        if lost:
            raise ValueError(f"the decisions of {', '.join(lost)} would be lost.")


def _recorded(model: nnx.Module, example: Call) -> set[str]:
    """Names of the layers that decide, in masked execution."""
    graphdef, state = nnx.split(evaluating(model, execution="masked"))

    def run(state: Any, example: Call) -> dict[str, Any]:
        _, captured = example(capture(nnx.merge(graphdef, state)))
        return records(captured)

    return set(jax.eval_shape(run, state, example.shapes()))


def _make_whole(gate: nnx.Module):
    """Leaves of each random stream of a stack that of the first layer."""
    for _, node in nnx.iter_graph(gate):
        if isinstance(node, nnx.RngState) and node.get_value().ndim:
            node.set_value(node.get_value()[0])
