"""Dense MACs of the models are those that were published; nothing runs."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from dynsparse import costs, models
from dynsparse.gates import evaluating
from tests.sampled import unless

RESNET = dict(name="resnet", granularity="blocks", tile=0)
SMALL, LARGE = dict(stem="small", width=16), dict(stem="large", width=64)
VIT = dict(name="vit", granularity="tokens", patch=16, depth=12)
MIXER = dict(name="mixer", granularity="neurons", patch=16)
CIFAR = dict(image_shape=(32, 32, 3), num_classes=10)
IMAGENET = dict(image_shape=(224, 224, 3), num_classes=1000)
# He et al., 2015 give 1.8, 3.6 and 3.8 G for 18, 34 and 50 layers, the last with its
# strides in the 1x1 convolutions; in the 3x3 ones, as usual since, it is 4.1 G. Pruning
# papers give 125.5 M for ResNet-56. DeiT: Touvron et al., 2020. Mixer-S/16: 3.8 G.
PUBLISHED = [
    (RESNET | SMALL | dict(depth=20), CIFAR, 40.6e6),
    pytest.param(RESNET | SMALL | dict(depth=56), CIFAR, 125.5e6, marks=unless(False)),
    (RESNET | LARGE | dict(depth=18), IMAGENET, 1.814e9),
    (RESNET | LARGE | dict(depth=50), IMAGENET, 4.09e9),
    (VIT | dict(width=192, num_heads=3, mlp_width=768), IMAGENET, 1.254e9),
    pytest.param(
        VIT | dict(width=384, num_heads=6, mlp_width=1536),
        IMAGENET,
        4.6e9,
        marks=unless(False),
    ),
    (
        MIXER | dict(width=512, depth=8, token_width=256, mlp_width=2048),
        IMAGENET,
        3.777e9,
    ),
]


@pytest.mark.parametrize(("config", "data", "published"), PUBLISHED)
def test_dense_macs_are_those_that_were_published(config, data, published):
    build = lambda: models.from_config(
        config,
        gate=dict(name="dense"),
        scorer=dict(name="static"),
        rngs=nnx.Rngs(0, gate=1),
        **data,
    )
    dense = evaluating(nnx.eval_shape(build), execution="dense")
    example = jax.ShapeDtypeStruct((1, *data["image_shape"]), jnp.float32)
    assert costs.count_macs(dense, example) == pytest.approx(published, rel=2e-3)
