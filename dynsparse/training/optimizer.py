"""The optimizer of a run."""

import jax
import optax

from dynsparse.training.settings import GateOptimizerSettings, OptimizerSettings

_GATES = {"gate", "scorer"}  # attributes of a gated layer


def learning_rate_schedule(
    settings: OptimizerSettings, num_steps: int
) -> optax.Schedule:
    """Linear warm-up, then a cosine to zero at `num_steps`.

    Raises:
        ValueError: If the warm-up takes all of the steps.
    """
    if settings.warmup_steps >= num_steps:
        raise ValueError(
            f"optimizer: warmup_steps must be below the {num_steps} steps of the "
            f"training, got {settings.warmup_steps}."
        )
    return optax.schedules.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=settings.learning_rate,
        warmup_steps=settings.warmup_steps,
        decay_steps=num_steps,
    )


def make_optimizer(
    settings: OptimizerSettings, gates: GateOptimizerSettings, num_steps: int
) -> optax.GradientTransformation:
    """AdamW behind gradient clipping; vectors are not decayed.

    Gates and scorers are a group of their own.
    """
    schedule = learning_rate_schedule(settings, num_steps)
    scaled = lambda step: gates.learning_rate_scale * schedule(step)
    return optax.chain(
        optax.clip_by_global_norm(settings.clip_norm),
        optax.partition(
            {
                "weights": _adamw(schedule, settings.weight_decay),
                "gates": _adamw(scaled, gates.weight_decay),
            },
            group_of,
        ),
    )


def group_of(params):
    """Returns "gates" or "weights" for each leaf of `params`, by its path."""

    def group(path, _):
        keys = {getattr(entry, "key", None) for entry in path}
        return "gates" if keys & _GATES else "weights"

    return jax.tree_util.tree_map_with_path(group, params)


def _adamw(schedule: optax.Schedule, weight_decay: float):
    matrices = lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params)
    return optax.adamw(schedule, weight_decay=weight_decay, mask=matrices)
