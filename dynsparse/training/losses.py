"""The training objective, less what the budget adds to it."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from dynsparse.budgets import Policy, Usage
from dynsparse.gates import Gate, GateOutput
from dynsparse.tasks import Batch, Mean, Task, weights

_PLAIN = Policy()  # adds nothing


def objective(
    task: Task,
    outputs: PyTree,
    batch: Batch,
    usage: Usage,
    gates: Mapping[str, Gate],
    policy: Policy = _PLAIN,
    features: Sequence[Float[Array, "passes batch _"]] = (),
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The task's loss, distilled where the budget says so, and metrics of the batch.

    Score-function gates add a surrogate that changes the gradient but not the value of
    the loss.

    Args:
        task: Its losses and scores are taken.
        outputs: Of every pass of the step, [passes, batch, ...]; most methods want one.
        batch: Examples; those of weight 0 count for nothing.
        usage: The decisions of these passes.
        gates: By layer.
        policy: Its `distil` mixes the losses.
        features: What each head of the model read.

    Returns:
        The loss, and `loss`, `task_loss`, the task's scores, `budget` (expected MACs as
        a fraction of the dense ones), `density` (mean over the gated layers of the mean
        `open_prob`) and `density/<layer>`, all in float32.
    """
    outputs = jax.tree.map(_in_float32, outputs)
    passes = lambda function: jax.vmap(lambda x: function(x, batch))(outputs)
    losses, weight = passes(task.losses), weights(batch)
    mean = lambda values: Mean.of(values, weight).value
    task_loss = mean(losses)
    distilled = policy.distil(losses, outputs, tuple(features), task.distance)
    loss = task_loss if distilled is losses else mean(distilled)
    for name, decision in usage.decisions.items():
        rows = GateOutput(*(x.reshape(*x.shape[:2], -1) for x in decision))
        surrogate = gates[name].surrogate(rows, losses)
        if surrogate is not None:
            loss = loss + (surrogate - jax.lax.stop_gradient(surrogate))
    metrics = dict(loss=loss, task_loss=task_loss)
    for name, score in passes(task.scores).items():
        metrics[name] = Mean(score.total.sum(), score.count.sum()).value
    if usage.decisions:
        densities = usage.densities()
        metrics["budget"] = usage.budget()
        metrics["density"] = jnp.stack(list(densities.values())).mean()
        metrics |= {f"density/{name}": value for name, value in densities.items()}
    return loss, metrics


def _in_float32(x: jax.Array) -> jax.Array:
    return x.astype(jnp.float32) if jnp.issubdtype(x.dtype, jnp.floating) else x
