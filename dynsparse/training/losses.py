"""The training objective."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from dynsparse.budgets import Distillation, Usage
from dynsparse.budgets.penalties import Penalty
from dynsparse.gates import Gate, GateOutput


def objective(
    logits: Float[Array, "samples batch classes"],
    labels: Int[Array, "batch"],
    usage: Usage,
    gates: Mapping[str, Gate],
    penalties: Mapping[Penalty, Float[Array, ""]] = MappingProxyType({}),
    distillation: Distillation | None = None,
    features: Sequence[Float[Array, "samples batch _"]] = (),
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Cross-entropy plus the penalties, and the metrics of the batch.

    Gates that learn from losses add their surrogate, whose value is taken off again:
    the loss is the same, its gradient is not.

    Args:
        logits: Of every pass of the step; most methods want one.
        labels: Of the batch.
        usage: The decisions of these passes.
        gates: By layer.
        penalties: What is added to the loss, with their weights.
        distillation: Of the first pass into the others.
        features: What each head of the model read.

    Returns:
        The loss, and `loss`, `cross_entropy`, `accuracy`, `budget` (expected MACs as a
        fraction of the dense ones), `density` (mean over the gated layers of the mean
        `open_prob`) and `density/<layer>`, all in float32.
    """
    logits = logits.astype(jnp.float32)
    labels = jnp.broadcast_to(labels, logits.shape[:-1])
    losses = optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels)
    cross_entropy = losses.mean()
    loss = cross_entropy
    if distillation is not None:
        loss = distillation(losses, logits, features).mean()
    for name, decision in usage.decisions.items():
        rows = GateOutput(*(x.reshape(*x.shape[:2], -1) for x in decision))
        surrogate = gates[name].surrogate(rows, losses)
        if surrogate is not None:
            loss = loss + (surrogate - jax.lax.stop_gradient(surrogate))
    if usage.decisions:
        loss = loss + sum(
            penalty(usage, weight) for penalty, weight in penalties.items()
        )
    metrics = dict(
        loss=loss,
        cross_entropy=cross_entropy,
        accuracy=(logits.argmax(-1) == labels).mean(dtype=jnp.float32),
    )
    if usage.decisions:
        densities = usage.densities()
        metrics["budget"] = usage.budget()
        metrics["density"] = jnp.stack(list(densities.values())).mean()
        metrics |= {f"density/{name}": value for name, value in densities.items()}
    return loss, metrics
