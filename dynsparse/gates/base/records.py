"""Records: the decisions that gated layers leave for `nnx.capture`."""

from collections.abc import Mapping
from typing import Any

from flax import nnx

from dynsparse._internal.paths import path_name


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


def records(
    captured: Mapping[Any, Any], kind: type[nnx.Variable] = GateRecord
) -> dict[str, Any]:
    """Maps the path of each gated layer to the record that it left.

    Args:
        captured: State that `nnx.capture(model, kind)(x)` returns.
        kind: Variable to look for; a `GateRecord` holds a `GateOutput`.

    Returns:
        Records by the path of their layer, such as "blocks/0/mlp"; "" is the model.

    Raises:
        ValueError: If a layer left more than one.

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
            *others, found[name] = variable.get_value()
            if others:
                raise ValueError(
                    f"{name or 'the layer'} is called {len(others) + 1} times in one "
                    f"pass, of which a bill counts one: give each call a layer of its "
                    f"own; layers may share a host."
                )
    return found
