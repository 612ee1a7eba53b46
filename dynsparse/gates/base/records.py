"""Records: the decisions that gated layers leave for `nnx.capture`."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse._internal.paths import layer_name, path_name
from dynsparse.gates.base.decision import GateOutput


class GateRecord(nnx.Variable):
    """The `GateOutput` that a gated layer leaves for `nnx.capture`.

    Example:
        >>> class Layer(nnx.Module):
        ...     def __call__(self, x):
        ...         decision = gates.deterministic_output(jnp.array([1.0, 0.0]))
        ...         self.sow(gates.GateRecord, "decision", decision)
        ...         return x
        >>> y, captured = nnx.capture(Layer(), gates.GateRecord)(jnp.ones(3))
        >>> gates.records(captured)[""].mask
        Array([1., 0.], dtype=float32)
    """


class _Recorded(NamedTuple):
    """What a `GateRecord` holds where layers of a stack are told apart.

    Attributes:
        decision: The decision of a layer; that of all of them, once captured.
        stack: A zero. What stacks decisions stacks it alike: its axes are those of the
            stack.
    """

    decision: GateOutput
    stack: Float[Array, "..."]

    def layers(self, name: str) -> Iterator[tuple[str, GateOutput]]:
        """Returns the names and decisions of the layers.

        Args:
            name: Of the module.

        Raises:
            ValueError: If it is stacked twice.
        """
        match self.stack.shape:
            case ():
                yield name, self.decision
            case (count,):
                for layer in range(count):
                    own = jax.tree.map(lambda x, i=layer: x[i], self.decision)
                    yield layer_name(name, layer), own
            case shape:
                raise ValueError(
                    f"{name} is stacked twice, {shape} layers of a scan inside of "
                    f"another: a bill tells layers of one nnx.scan apart."
                )


def leave(layer: nnx.Module, decision: GateOutput):
    """Leaves a decision for `nnx.capture`, from where `records` reads it.

    Args:
        layer: What has decided.
        decision: Its decision.

    Example:
        >>> class Layer(nnx.Module):
        ...     def __call__(self, x):
        ...         gates.leave(self, gates.GateOutput(x, x))
        ...         return x
        >>> _, captured = gates.capture(Layer())(jnp.ones((1, 2)))
        >>> gates.records(captured)[""].mask
        Array([[1., 1.]], dtype=float32)
    """
    layer.sow(GateRecord, "record", _Recorded(decision, jnp.zeros(())))


def capture(model: nnx.Module, kind: type[nnx.Variable] = GateRecord) -> Callable:
    """`nnx.capture` of one kind, for models whose scans run blocks with lists as well.

    In Flax 0.12.8 a `nnx.List` cannot pass through a transformation while something may
    be captured in it, though nothing ever is. (0.12.12 has no such trouble.)

    Args:
        model: Any module.
        kind: Variable to capture.

    Example:
        >>> run = gates.capture(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
        >>> y, captured = run(jnp.ones((1, 2)))
        >>> gates.records(captured)
        {}
    """

    def call(model: Any, *args: Any, **kwargs: Any) -> Any:
        for _, part in nnx.iter_modules(model):
            if isinstance(part, nnx.List):
                vars(part).pop("__captures__", None)
        return model(*args, **kwargs)

    return functools.partial(nnx.capture(call, kind), model)


def records(
    captured: Mapping[Any, Any], kind: type[nnx.Variable] = GateRecord
) -> dict[str, Any]:
    """Maps the path of each gated layer to the record that it left.

    Args:
        captured: State that `nnx.capture(model, kind)(x)` returns.
        kind: Variable to look for; a `GateRecord` holds a `GateOutput`.

    Returns:
        Records by the path of their layer, such as "blocks/0/mlp"; "" is the model.
        Layers of a stack, which `nnx.scan` runs, have one each: "blocks/mlp[0]".

    Raises:
        ValueError: If a layer left more than one, or is stacked twice.

    Example:
        >>> decision = gates.deterministic_output(jnp.array([1.0, 0.0]))
        >>> left = gates.GateRecord((decision,))
        >>> state = nnx.State({"body": {"mlp": {"decision": left}}})
        >>> list(gates.records(state))
        ['body/mlp']
    """
    state: Any = captured
    found: dict[str, Any] = {}
    for path, variable in nnx.to_flat_state(state):
        if isinstance(variable, kind):
            name = path_name(path[:-1])
            *others, left = variable.get_value()
            one = isinstance(left, _Recorded)
            found |= dict(left.layers(name)) if one else {name: left}
            if others:
                raise ValueError(
                    f"{name or 'the layer'} is called {len(others) + 1} times in one "
                    f"pass, of which a bill counts one: give each call a layer of its "
                    f"own; layers may share a host."
                )
    return found
