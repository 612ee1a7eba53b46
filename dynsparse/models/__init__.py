"""Networks made of gated layers; one architecture per file."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from dynsparse import costs, lookup

__all__ = ["available", "from_config", "narrower"]


def available() -> list[str]:
    """Names of the models of this library."""
    return lookup.available(__name__)


def from_config(
    config: lookup.Config,
    *,
    gate: lookup.Config,
    scorer: lookup.Config,
    image_shape: tuple[int, int, int],
    num_classes: int,
    rngs: nnx.Rngs,
) -> nnx.Module:
    """Builds the model that `config` names.

    Args:
        config: `name`, one of `available()` or "package.module:Class", and exactly the
            keys of that model's constructor.
        gate: Config of the model's gates.
        scorer: Config of what gives them their scores.
        image_shape: Height, width, channels of the data.
        num_classes: Classes of the data.
        rngs: Streams `params` and `gate`.

    Raises:
        ValueError: If a name, key or value is not accepted.
    """
    return lookup.build(
        __name__,
        config,
        gate=gate,
        scorer=scorer,
        image_shape=image_shape,
        num_classes=num_classes,
        rngs=rngs,
    )


def narrower(
    config: lookup.Config,
    budget: float,
    *,
    image_shape: tuple[int, int, int],
    num_classes: int,
) -> dict[str, Any]:
    """Config of the dense network that costs what a gated one does: the static rival.

    Args:
        config: Of the model whose dense MACs the budget is a fraction of.
        budget: In (0, 1].
        image_shape: Height, width, channels of the data.
        num_classes: Classes of the data.

    Returns:
        The widest of the model's `narrowed(config)` whose dense MACs are at most
        `budget` of those of `config`. Train it with the dense gate.

    Raises:
        ValueError: If even the narrowest costs more.
    """
    example = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)

    def macs(config: lookup.Config) -> int:
        build = lambda: from_config(
            config,
            gate=dict(name="dense"),
            scorer=dict(name="mlp", hidden=1),
            image_shape=image_shape,
            num_classes=num_classes,
            rngs=nnx.Rngs(0),
        )
        dense = nnx.view(
            nnx.eval_shape(build), execution="dense", raise_if_not_found=False
        )
        return costs.count_macs(dense, example)

    allowed = budget * macs(config)
    model: Any = lookup.find(__name__, config["name"])
    best = None
    for narrow in model.narrowed(config):
        if macs(narrow) > allowed:
            break
        best = narrow
    if best is None:
        raise ValueError(f"no width of {config['name']} has a budget of {budget}.")
    return best
