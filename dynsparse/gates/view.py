"""A model as it answers, which a causal one does not by what comes later."""

from typing import Any

from flax import nnx

from dynsparse.gates.base import Gate, gated_modules
from dynsparse.paths import path_name


def evaluating(
    model: Any,
    *,
    execution: str | None = None,
    density: float | None = None,
    capacity_steps: int | None = None,
) -> Any:
    """The model as it answers: without noise, norms by their running averages.

    Args:
        model: Any module, with gates or without; it shares its arrays with what is
            returned.
        execution: Of its gated layers; None leaves it.
        density: Static density of its top-k gates; None leaves it.
        capacity_steps: Of its gated layers; None leaves them.

    Raises:
        ValueError: If a layer does not accept a value, or a causal model would decide
            by later tokens.
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


def check_later_tokens(model: nnx.Module):
    """Raises a ValueError where a causal model would decide by later tokens.

    A model is causal that has a module whose attribute `causal` is True, such as
    `layers.Attention(causal=True)`. While it trains on whole sequences its tokens may
    compete (Mixture-of-Depths, arXiv:2404.02258); what it answers then holds for no
    decoder, so that perplexities would be too low.

    Args:
        model: As it answers; gated layers tell by `reads_later`.
    """
    layers = gated_modules(model).items()
    found = {path: getattr(layer, "reads_later", None) for path, layer in layers}
    reasons = {path: reason for path, reason in found.items() if reason}
    causal = [
        path_name(path) or "the model"
        for path, module in nnx.iter_modules(model)
        if getattr(module, "causal", None) is True and not isinstance(module, Gate)
    ]
    for path, reason in reasons.items() if causal else ():
        name = path_name(path) or type(model).__name__
        raise ValueError(f"{name}: {reason}. The model is causal ({causal[0]}).")
