"""Models: networks with gated layers, one architecture per file."""

import bisect
from typing import Any

import jax
from flax import nnx

from dynsparse import costs
from dynsparse._internal import registry
from dynsparse.gates import evaluating
from dynsparse.models.decoder import generate

__all__ = ["available", "check", "from_config", "generate", "narrower"]

_GIVEN = ("gate", "scorer", "rngs", "image_shape", "num_classes")  # to every model


def available() -> list[str]:
    """Returns the names of the models of this library.

    >>> models.available()
    ['conv_vit', 'decoder', 'mixer', 'resnet', 'vit']
    """
    return registry.available(__name__)


def from_config(
    config: registry.Config,
    *,
    gate: registry.Config,
    scorer: registry.Config,
    rngs: nnx.Rngs,
    **data: Any,
) -> nnx.Module:
    """Builds the model that `config` names.

    Args:
        config: `name`, one of `available()` or "package.module:Class" (or a function),
            and exactly the keys of that model's constructor.
        gate: Config of the model's gates, for `gates.from_config`.
        scorer: Config of the gates' scorers, for `layers.make_scorer`.
        rngs: Streams `params`, which initialises, and `gate`, the noise of the gates.
        **data: Constructor arguments that depend on the data: `image_shape` (height,
            width, channels) and `num_classes` for images, `vocabulary` and `length`
            (tokens of a sequence) for text.

    Raises:
        ValueError: If a name, key or value is not accepted.

    >>> model = models.from_config(
    ...     dict(name="mixer", granularity="neurons", patch=4, width=4, depth=1,
    ...          token_width=4, mlp_width=8),
    ...     gate=dict(name="hard_topk", density=0.5),
    ...     scorer=dict(name="mlp", hidden=1),
    ...     rngs=nnx.Rngs(0, gate=1),
    ...     image_shape=(8, 8, 1),
    ...     num_classes=3,
    ... )
    >>> type(model).__name__
    'Mixer'
    """
    return registry.build(
        __name__,
        config,
        gate=gate,
        scorer=scorer,
        rngs=rngs,
        **data,
    )


def check(config: registry.Config):
    """Refuses a name, a key, or a value of the wrong type, without building.

    Args:
        config: As in `from_config`.

    Raises:
        ValueError: If a name, key or type is not accepted.

    >>> models.check(dict(name="resnet", depht=8))
    Traceback (most recent call last):
    ValueError: model...: resnet has no key 'depht'; accepted: ...
    """
    registry.check(__name__, config, _GIVEN)


def narrower(
    config: registry.Config,
    budget: float,
    *,
    example: jax.ShapeDtypeStruct,
    **data: Any,
) -> dict[str, Any]:
    """Returns the config of a narrower dense network at a given share of the MACs.

    It is the static baseline of a gated model with the same budget.

    Args:
        config: Config of the model whose dense MACs count as 1.
        budget: Share of them that the narrower network may spend, in (0, 1].
        example: One input, with its batch axis of size 1.
        **data: As in `from_config`.

    Returns:
        The widest config of the model's `narrowed(config)` within the budget. Train it
        with the dense gate.

    Raises:
        ValueError: If even the narrowest network costs more.

    >>> config = dict(
    ...     name="mixer", granularity="blocks", patch=4, width=8, depth=1,
    ...     token_width=4, mlp_width=16,
    ... )
    >>> example = jax.ShapeDtypeStruct((1, 8, 8, 1), "float32")
    >>> models.narrower(
    ...     config, 0.5, example=example, image_shape=(8, 8, 1), num_classes=3
    ... )["width"]
    5
    """

    def macs(config: registry.Config) -> int:
        build = lambda: from_config(
            config,
            gate=dict(name="dense"),
            scorer=dict(name="mlp", hidden=1),
            rngs=nnx.Rngs(0),
            **data,
        )
        dense = evaluating(nnx.eval_shape(build), execution="dense")
        return costs.count_macs(dense, example)

    allowed = budget * macs(config)
    model: Any = registry.find(__name__, config["name"])
    configs = list(model.narrowed(config))
    affordable = bisect.bisect_right(configs, allowed, key=macs)
    if not affordable:
        raise ValueError(f"no width of {config['name']} has a budget of {budget}.")
    return configs[affordable - 1]
