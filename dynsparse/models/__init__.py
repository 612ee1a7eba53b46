"""Networks made of gated layers; one architecture per file."""

from flax import nnx

from dynsparse import lookup

__all__ = ["available", "from_config"]


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
