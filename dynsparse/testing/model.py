"""The contract of a model that a config names."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dynsparse import models
from dynsparse._internal.require import require
from dynsparse.gates import evaluating

_BATCH = 4
_GATE = dict(name="soft_topk", density=1.0, temperature=1.0, family="logistic")
_SCORER = dict(name="mlp", hidden=4)


def check_model(
    name: str,
    *,
    image_shape: tuple[int, int, int] = (16, 16, 1),
    num_classes: int = 10,
    **keys: Any,
):
    """Refuses a model that training cannot use.

    It is gated where its rules say; it returns finite logits of every image, each from
    that image alone; and masked and compact execution agree at half of the density.

    Args:
        name: As in the section `model` of a config, such as "package.module:Class".
        image_shape: Height, width and channels.
        num_classes: Size of the output.
        **keys: The other keys of the section.

    Raises:
        ValueError: With what is wrong, in words.

    Example:
        >>> testing.check_model("conv_vit", granularity="neurons", width=8,
        ...                     depth=1, num_heads=2, mlp_width=8)
    """
    config = dict(name=name, **keys)
    models.check(config, ("image_shape", "num_classes"))
    model = models.from_config(
        config,
        gate=_GATE,
        scorer=_SCORER,
        example=jax.ShapeDtypeStruct((2, *image_shape), jnp.float32),
        image_shape=image_shape,
        num_classes=num_classes,
        rngs=nnx.Rngs(0, gate=1),
    )
    images = jax.random.uniform(jax.random.key(0), (_BATCH, *image_shape))
    masked = _answer(evaluating(model), images)
    require(
        masked.shape == (_BATCH, num_classes) and masked.dtype == jnp.float32,
        f"{name}: must return float32 logits of shape {(_BATCH, num_classes)}, got "
        f"{masked.dtype} of shape {masked.shape}",
    )
    require(bool(jnp.isfinite(masked).all()), f"{name}: must return finite logits")
    alone = _answer(evaluating(model), images[:1])
    require(
        np.allclose(alone, masked[:1], atol=1e-4, rtol=1e-4),
        f"{name}: the logits of an image must not depend on the others of its batch",
    )
    half = evaluating(model, execution="compact", density=0.5)
    compact = _answer(half, images)
    masked = _answer(evaluating(model, density=0.5), images)
    require(
        np.allclose(compact, masked, atol=1e-4, rtol=1e-4),
        f"{name}: masked and compact execution must agree, they differ by "
        f"{float(abs(compact - masked).max()):.2g}",
    )


def _answer(view: nnx.Module, images: jax.Array) -> jax.Array:
    return _call(*nnx.split(view), images)


@functools.partial(jax.jit, static_argnums=0)
def _call(graphdef: nnx.GraphDef, state: nnx.State, images: jax.Array) -> jax.Array:
    return nnx.merge(graphdef, state)(images)
