"""The training objective."""

from collections.abc import Mapping

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from dynsparse.budgets import DensityLoss
from dynsparse.gates.base import GateOutput


def objective(
    logits: Float[Array, "batch classes"],
    labels: Int[Array, "batch"],
    decisions: Mapping[str, GateOutput],
    density_loss: DensityLoss | None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Cross-entropy plus the density penalty, and the metrics of the batch.

    Returns:
        The loss, and `loss`, `cross_entropy`, `accuracy`, `density` (mean over the
        gated layers of the mean `open_prob`) and `density/<layer>`, all in float32.
    """
    logits = logits.astype(jnp.float32)
    cross_entropy = optax.losses.softmax_cross_entropy_with_integer_labels(
        logits, labels
    ).mean()
    loss = cross_entropy
    if density_loss is not None and decisions:
        loss = loss + density_loss(decisions)
    metrics = dict(
        loss=loss,
        cross_entropy=cross_entropy,
        accuracy=(logits.argmax(-1) == labels).mean(dtype=jnp.float32),
    )
    if decisions:
        densities = {
            f"density/{name}": decision.open_prob.mean(dtype=jnp.float32)
            for name, decision in decisions.items()
        }
        metrics["density"] = jnp.stack(list(densities.values())).mean()
        metrics |= densities
    return loss, metrics
