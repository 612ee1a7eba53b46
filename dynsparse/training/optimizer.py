"""AdamW with gradient clipping, and a group of its own for gates and scorers."""

import functools
from collections.abc import Collection, Hashable
from typing import Any

import jax
import optax
from flax import nnx

from dynsparse.layers import GatedLayer
from dynsparse.training.settings import GateOptimizerSettings, OptimizerSettings

_OWN = ("gate", "scorer")  # attributes of a gated layer that are not its host


def learning_rate_schedule(
    settings: OptimizerSettings, num_steps: int
) -> optax.Schedule:
    """Learning rate by step: linear warm-up, then a cosine to zero at `num_steps`.

    Args:
        settings: Settings of the optimizer.
        num_steps: Number of steps of the training.

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
    settings: OptimizerSettings,
    gates: GateOptimizerSettings | None,
    num_steps: int,
    model: nnx.Module,
) -> optax.GradientTransformation:
    """AdamW (Loshchilov & Hutter, 2019, arXiv:1711.05101) after gradient clipping.

    Vectors, such as biases and the scales of norms, are not decayed. Gates and scorers
    of gated layers are a group of their own, found by type, not by name.

    Args:
        settings: Settings of the optimizer.
        gates: Settings of the group of gates and scorers; None where they have no
            parameters.
        num_steps: Number of steps of the training.
        model: Model whose parameters are trained.

    Raises:
        ValueError: If the warm-up takes all of the steps, or gates and scorers have
            parameters and `gates` is None, or the other way round.
    """
    group = functools.partial(group_of, layers=gated_layers(model))
    _check_gates(gates, nnx.to_pure_dict(nnx.state(model, nnx.Param)), group)
    schedule = learning_rate_schedule(settings, num_steps)
    groups: dict[Hashable, Any] = {"weights": _adamw(schedule, settings.weight_decay)}
    if gates is not None:
        scaled = lambda step: gates.learning_rate_scale * schedule(step)
        groups["gates"] = _adamw(scaled, gates.weight_decay)
    return optax.chain(
        optax.clip_by_global_norm(settings.clip_norm), optax.partition(groups, group)
    )


def _check_gates(gates: GateOptimizerSettings | None, params, group):
    """Refuses settings without a parameter to apply to, and parameters without any."""
    leaves = zip(jax.tree.leaves(params), jax.tree.leaves(group(params)), strict=True)
    own = [leaf for leaf, name in leaves if name == "gates"]
    if gates is None and own:
        raise ValueError(
            "gate_optimizer must be a section of keys for gates and scorers that have "
            "parameters, got None."
        )
    if gates is not None and not own:
        raise ValueError(
            "gate_optimizer: no gate or scorer of the model has parameters; "
            "accepted: None."
        )
    if gates is not None and gates.weight_decay and all(a.ndim < 2 for a in own):
        raise ValueError(
            "gate_optimizer: weight_decay is of matrices, and gates and scorers of "
            f"the model have none; accepted: 0.0, got {gates.weight_decay}."
        )


def gated_layers(model: nnx.Module) -> frozenset[tuple[Any, ...]]:
    """Paths of the gated layers of a model."""
    modules = nnx.iter_modules(model)
    return frozenset(tuple(path) for path, x in modules if isinstance(x, GatedLayer))


def group_of(params, layers: Collection[tuple[Any, ...]] | None = None):
    """Returns "gates" or "weights" for each leaf of `params`.

    Args:
        params: Tree of parameters.
        layers: Paths of the gated layers, from `gated_layers`; None takes every module
            that holds a `host` for one.
    """
    if layers is None:
        leaves = jax.tree_util.tree_leaves_with_path(params)
        paths = [_keys(path) for path, _ in leaves]
        layers = {p[:i] for p in paths for i, key in enumerate(p) if key == "host"}

    def group(path, _):
        keys = _keys(path)
        places = (i for i, key in enumerate(keys) if key in _OWN)
        return "gates" if any(keys[:i] in layers for i in places) else "weights"

    return jax.tree_util.tree_map_with_path(group, params)


def _keys(path: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(getattr(entry, "key", None) for entry in path)


def _adamw(schedule: optax.Schedule, weight_decay: float):
    matrices = lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params)
    return optax.adamw(schedule, weight_decay=weight_decay, mask=matrices)
