"""Gates in a model: which modules own one, and the model in evaluation mode."""

from typing import Any

from flax import nnx

from dynsparse._internal.later_tokens import check_later_tokens
from dynsparse._internal.paths import layer_name, path_name
from dynsparse.gates.base.gate import Gate
from dynsparse.gates.base.variables import Scalar


def gated_modules(model: nnx.Module) -> dict[tuple, Any]:
    """Finds the modules of `model` that own a gate, by their path.

    Args:
        model: A module owns a gate if its attribute `gate` is a `Gate`.

    Example:
        >>> class Layer(nnx.Module):
        ...     def __init__(self, rngs):
        ...         self.gate = gates.from_config(dict(name="dense"), rngs=rngs)
        >>> layers = nnx.List([Layer(nnx.Rngs(0)), Layer(nnx.Rngs(1))])
        >>> list(gates.gated_modules(layers))
        [(0,), (1,)]
    """
    return {
        tuple(path): module
        for path, module in nnx.iter_modules(model)
        if isinstance(getattr(module, "gate", None), Gate)
    }


def find_gates(model: nnx.Module) -> dict[str, Gate]:
    """Finds the gates of `model` by the path of their layer, as `records` names it.

    Layers of a stack share one module, whose variables hold a number for each.

    Args:
        model: Any module.

    Example:
        >>> class Layer(nnx.Module):
        ...     def __init__(self, rngs):
        ...         self.gate = gates.from_config(dict(name="dense"), rngs=rngs)
        >>> list(gates.find_gates(nnx.List([Layer(nnx.Rngs(0))])))
        ['0']
    """
    return {
        name: module.gate
        for path, module in gated_modules(model).items()
        for name in layer_names(path_name(path), module)
    }


def layer_names(name: str, module: Any) -> list[str]:
    """Names of the layers that a gated module stands for, as records have them.

    Args:
        name: Of the module.
        module: One that owns a gate; one with numbers of its own where it is a stack.

    Example:
        >>> layer = layers.gated(
        ...     layers.Mlp.create(width=4, hidden=8, rngs=nnx.Rngs(0)),
        ...     granularity="width",
        ...     gate=dict(name="hard_topk", density=0.5),
        ...     num_slices=4,
        ...     rngs=nnx.Rngs(0),
        ... )
        >>> gates.layer_names("blocks/0", layer)
        ['blocks/0']
    """
    count = num_stacked(module)
    return [name] if count is None else [layer_name(name, i) for i in range(count)]


def num_stacked(module: Any) -> int | None:
    """Number of layers in the stack that a gated module is; None where it is none.

    Args:
        module: One that owns a gate. What is one number in a layer, such as a density,
            tells it; a gate without any, such as "dense", cannot be told apart.

    Example:
        >>> layer = layers.gated(
        ...     layers.Mlp.create(width=4, hidden=8, rngs=nnx.Rngs(0)),
        ...     granularity="width",
        ...     gate=dict(name="hard_topk", density=0.5),
        ...     num_slices=4,
        ...     rngs=nnx.Rngs(0),
        ... )
        >>> gates.num_stacked(layer) is None
        True
    """
    for part in (module.gate, getattr(module, "shift", None)):
        for _, node in nnx.iter_graph(part):
            if isinstance(node, Scalar | nnx.RngCount) and node.get_value().ndim:
                return node.get_value().shape[0]
    return None


def evaluating(
    model: Any,
    *,
    execution: str | None = None,
    density: float | None = None,
    capacity_steps: int | None = None,
) -> Any:
    """View of `model` in evaluation mode: no gate noise, BatchNorm by running averages.

    Args:
        model: Any module, with gates or without; the view shares its arrays.
        execution: "masked" or "compact", for gated layers; None leaves it.
        density: Static density of top-k gates, in [0, 1]; None leaves it.
        capacity_steps: Capacities that gated layers compile; None leaves it.

    Raises:
        ValueError: If a layer does not accept a value, or a causal model would decide
            by later tokens.

    Example:
        >>> spec = dict(name="bernoulli_straight_through")
        >>> gate = gates.from_config(spec, rngs=nnx.Rngs(0))
        >>> gates.evaluating(gate)(jnp.array([-0.1, 0.1])).mask
        Array([0., 1.], dtype=float32)
    """
    asked: dict[str, Any] = dict(
        execution=execution, density=density, capacity_steps=capacity_steps
    )
    view = nnx.view(
        model,
        deterministic=True,
        use_running_average=True,
        raise_if_not_found=False,
        **{name: value for name, value in asked.items() if value is not None},
    )
    check_later_tokens(view)
    return view
