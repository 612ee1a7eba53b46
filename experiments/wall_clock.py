"""Does the saved work show on the clock?

    python -m experiments.wall_clock --out DIR

Claim: compact execution of a gated network takes the share of the dense time that its
bill says, at the batch sizes of serving. What would refute it: a time ratio far above
the MAC ratio, as masks alone give ("I ran it, and it is not faster").

Measured side by side with the dense network, in one process, taking turns; untrained
weights and random pictures, since neither changes the time. Block gates are biased so
that each is open for half of the batch.
"""

import sys
from collections.abc import Sequence
from typing import Any

from experiments.alone import Report, Row, run_alone

FIELDS = (
    "granularity",
    "gate",
    "density",
    "batch",
    "macs_ratio",
    "time_ratio",
    "efficiency",
    "saved",
    "dense_ms",
    "compact_ms",
    "masked_ms",
    "largest_difference",
)
MODEL = dict(name="conv_vit", width=192, depth=4, num_heads=3, mlp_width=768)
SCORER = dict(name="mlp", hidden=48)
IMAGE_SHAPE = (32, 32, 3)
SOFT_TOPK = dict(name="soft_topk", density=1.0, temperature=1.0, family="logistic")
GUMBEL = dict(name="gumbel_sigmoid", temperature=1.0)


def sweep(add):
    """One call of `add` per row."""
    for density in (0.25, 0.5, 0.75, 1.0):
        add(granularity="tokens", gate=SOFT_TOPK, density=density, batch=64)
    add(granularity="blocks", gate=GUMBEL, density=None, batch=64)


def measure(
    *,
    granularity: str,
    gate: dict[str, Any],
    density: float | None,
    batch: int,
    model: dict[str, Any] = MODEL,
    scorer: dict[str, Any] = SCORER,
    image_shape: tuple[int, int, int] = IMAGE_SHAPE,
    repeats: int = 15,
) -> dict[str, Any]:
    """Times the dense, masked and compact executions of one model.

    Args:
        granularity: "tokens" or "blocks".
        gate: Config of the gates.
        density: Of top-k gates; None opens each block for half of the batch.
        batch: Pictures per pass.
        model: Config of the model, but for its granularity.
        scorer: Config of its scorers.
        image_shape: Height, width, channels.
        repeats: Timed passes of each execution.

    Returns:
        The row of the table, by `FIELDS`.
    """
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from dynsparse import costs, models
    from dynsparse.budgets import set_density

    network = models.from_config(
        {**model, "granularity": granularity},
        gate=gate,
        scorer=scorer,
        image_shape=image_shape,
        num_classes=10,
        rngs=nnx.Rngs(params=0, gate=1),
    )
    images = jax.random.uniform(jax.random.key(0), (batch, *image_shape))
    network = nnx.view(network, deterministic=True)
    if density is None:
        _halve_blocks(network, images)
        compact = nnx.view(network, execution="compact")
    else:
        set_density(network, jnp.float32(density))
        compact = nnx.view(network, execution="compact", density=density)
    views = dict(
        dense=nnx.view(network, execution="dense"), masked=network, compact=compact
    )
    calls = {name: _compiled(view, images) for name, view in views.items()}
    difference = jnp.abs(calls["compact"]() - calls["masked"]()).max()
    seconds = costs.median_seconds(calls, repeats=repeats)
    bill = costs.bill(compact, images)
    masks = costs.run_gates(compact, images)
    time_ratio = seconds["compact"] / seconds["dense"]
    saved_macs = 1 - bill.budget
    return dict(
        granularity=granularity,
        gate=gate["name"],
        density=float(sum(m.mean() for m in masks.values()) / len(masks)),
        batch=batch,
        macs_ratio=bill.budget,
        time_ratio=time_ratio,
        efficiency=bill.budget / time_ratio,
        saved=(1 - time_ratio) / saved_macs if saved_macs else float("nan"),
        dense_ms=1e3 * seconds["dense"],
        compact_ms=1e3 * seconds["compact"],
        masked_ms=1e3 * seconds["masked"],
        largest_difference=float(difference),
    )


def _compiled(model, images):
    import jax
    from flax import nnx

    graphdef, state = nnx.split(model)
    apply = jax.jit(lambda state, images: nnx.merge(graphdef, state)(images))
    return lambda: apply(state, images)


def _halve_blocks(model, images):
    """Moves the bias of each block's scorer by the median score, first block first."""
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from dynsparse.gates import GateRecord, records
    from dynsparse.layers import GatedBlock

    @jax.jit
    def probabilities(state):
        network = nnx.merge(graphdef, state)
        return records(nnx.capture(network, GateRecord)(images)[1])

    graphdef, _ = nnx.split(model)
    for path, block in nnx.iter_modules(model):
        if isinstance(block, GatedBlock):
            decision = probabilities(nnx.state(model))["/".join(map(str, path))]
            scores = jax.scipy.special.logit(decision.open_prob)
            block.scorer.score.bias[...] -= jnp.median(scores)


def report(results: Sequence[Row]) -> Report:
    """The table of time beside MACs."""
    largest = max(row["largest_difference"] for row in results)
    return Report(
        rows=results,
        columns=FIELDS[:-1],
        notes=[f"Compact and masked outputs differ by at most {largest:.1e}."],
    )


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
