"""The training objective, less what the budget adds to it."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from dynsparse.budgets import Policy, Usage
from dynsparse.gates import Gate, GateOutput

_PLAIN = Policy()  # adds nothing


def objective(
    logits: Float[Array, "passes batch classes"],
    labels: Int[Array, "batch"],
    usage: Usage,
    gates: Mapping[str, Gate],
    policy: Policy = _PLAIN,
    features: Sequence[Float[Array, "passes batch _"]] = (),
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Cross-entropy, distilled where the budget says so, and the metrics of the batch.

    Score-function gates add a surrogate that changes the gradient but not the value of
    the loss.

    Args:
        logits: Of every pass of the step; most methods want one.
        labels: Of the batch.
        usage: The decisions of these passes.
        gates: By layer.
        policy: Its `distil` mixes the losses.
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
    distilled = policy.distil(losses, logits, tuple(features))
    loss = cross_entropy if distilled is losses else distilled.mean()
    for name, decision in usage.decisions.items():
        rows = GateOutput(*(x.reshape(*x.shape[:2], -1) for x in decision))
        surrogate = gates[name].surrogate(rows, losses)
        if surrogate is not None:
            loss = loss + (surrogate - jax.lax.stop_gradient(surrogate))
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
