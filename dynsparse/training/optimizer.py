"""The optimizer of a run."""

import jax
import optax

from dynsparse.training.settings import OptimizerSettings


def learning_rate_schedule(
    settings: OptimizerSettings, num_steps: int
) -> optax.Schedule:
    """Linear warm-up, then a cosine to zero at `num_steps`."""
    return optax.schedules.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=settings.learning_rate,
        warmup_steps=min(settings.warmup_steps, num_steps - 1),
        decay_steps=num_steps,
    )


def make_optimizer(
    settings: OptimizerSettings, num_steps: int
) -> optax.GradientTransformation:
    """AdamW behind gradient clipping; vectors are not decayed."""
    return optax.chain(
        optax.clip_by_global_norm(settings.clip_norm),
        optax.adamw(
            learning_rate_schedule(settings, num_steps),
            weight_decay=settings.weight_decay,
            mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params),
        ),
    )
