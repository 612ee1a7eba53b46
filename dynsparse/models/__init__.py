"""Networks made of gated layers; one architecture per file."""

import bisect
from typing import Any

import jax
from flax import nnx

from dynsparse import costs
from dynsparse._internal import registry
from dynsparse.gates import evaluating

__all__ = ["available", "check", "from_config", "narrower"]

_GIVEN = ("gate", "scorer", "rngs", "image_shape", "num_classes")  # to every model


def available() -> list[str]:
    """Names of the models of this library."""
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
        config: `name`, one of `available()` or "package.module:Class", and exactly the
            keys of that model's constructor.
        gate: Config of the model's gates.
        scorer: Config of what gives them their scores.
        rngs: Streams `params` and `gate`.
        **data: What the model has to know of the data: `image_shape` and `num_classes`
            of images, `vocabulary` and `length` of text.

    Raises:
        ValueError: If a name, key or value is not accepted.
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
        ValueError: If one is not accepted.
    """
    registry.check(__name__, config, _GIVEN)


def narrower(
    config: registry.Config,
    budget: float,
    *,
    example: jax.ShapeDtypeStruct,
    **data: Any,
) -> dict[str, Any]:
    """Config of the dense network that costs what a gated one does: the static rival.

    Args:
        config: Of the model whose dense MACs the budget is a fraction of.
        budget: In (0, 1].
        example: One input, with its batch axis of size 1.
        **data: As in `from_config`.

    Returns:
        The widest of the model's `narrowed(config)` whose dense MACs are at most
        `budget` of those of `config`. Train it with the dense gate.

    Raises:
        ValueError: If even the narrowest costs more.
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
