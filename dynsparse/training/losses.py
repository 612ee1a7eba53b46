"""The training objective."""

from collections.abc import Callable, Iterable, Mapping

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from dynsparse.gates.base import Gate, GateOutput


def objective(
    logits: Float[Array, "samples batch classes"],
    labels: Int[Array, "batch"],
    decisions: Mapping[str, GateOutput],
    gates: Mapping[str, Gate],
    penalties: Iterable[Callable[[Mapping[str, GateOutput]], Array]] = (),
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Cross-entropy plus the penalties, and the metrics of the batch.

    Gates that learn from losses add their surrogate, whose value is taken off again:
    the loss is the same, its gradient is not.

    Args:
        logits: Of every pass of the step; most gates want one.
        labels: Of the batch.
        decisions: By layer, each [samples, batch, *rows, units].
        gates: By layer.
        penalties: Each maps the decisions to what it adds to the loss.

    Returns:
        The loss, and `loss`, `cross_entropy`, `accuracy`, `density` (mean over the
        gated layers of the mean `open_prob`) and `density/<layer>`, all in float32.
    """
    logits = logits.astype(jnp.float32)
    labels = jnp.broadcast_to(labels, logits.shape[:-1])
    losses = optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels)
    cross_entropy = losses.mean()
    loss = cross_entropy
    for name, decision in decisions.items():
        rows = GateOutput(*(x.reshape(*x.shape[:2], -1) for x in decision))
        surrogate = gates[name].surrogate(rows, losses)
        if surrogate is not None:
            loss = loss + (surrogate - jax.lax.stop_gradient(surrogate))
    if decisions:
        loss = loss + sum(penalty(decisions) for penalty in penalties)
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
