"""Models of tokens and of features, gated in every way: two executions, one answer."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from configs import MODELS
from dynsparse import costs, models
from dynsparse.gates import evaluating

GATE = dict(name="soft_topk", density=1.0, temperature=1.0, family="logistic")
VARYING = dict(name="gumbel_sigmoid", temperature=1.0)  # for blocks, which take these
SIZES = dict(width=16, depth=2, num_heads=2, mlp_width=16)
TOKENS = jax.random.randint(jax.random.key(0), (5, 8), 0, 11)
FEATURES = jax.random.normal(jax.random.key(1), (5, 6))
DATA = dict(
    encoder=(TOKENS, dict(vocabulary=11, length=8)),
    residual_mlp=(FEATURES, dict(num_features=6, num_outputs=1)),
)
ROWS = [(name, g) for name in DATA for g in MODELS[name].granularities]


def run(view, x):
    return _call(*nnx.split(view), x)


@functools.partial(jax.jit, static_argnums=0)
def _call(graphdef, state, x):
    return nnx.merge(graphdef, state)(x)


def build(name, granularity):
    x, data = DATA[name]
    sizes = SIZES if name == "encoder" else dict(width=16, depth=2, mlp_width=16)
    model = models.from_config(
        dict(name=name, granularity=granularity) | sizes,
        gate=VARYING if granularity == "blocks" else GATE,
        scorer=dict(name="mlp", hidden=2),
        example=x,
        rngs=nnx.Rngs(0, gate=1),
        **data,
    )
    return model, x


@pytest.mark.parametrize(("name", "granularity"), ROWS)
def test_masked_equals_compact_and_the_bill_is_less(name, granularity):
    model, x = build(name, granularity)
    half = {} if granularity == "blocks" else dict(density=0.5)
    masked, compact = (
        run(evaluating(model, execution=execution, **half), x)
        for execution in ("masked", "compact")
    )
    np.testing.assert_allclose(masked, compact, rtol=1e-4, atol=1e-5)
    assert (masked != run(evaluating(model, execution="dense"), x)).any()
    bill = costs.bill(evaluating(model, **half), x)
    assert bill.floor <= bill.mean < bill.dense


def test_every_token_of_an_encoder_reads_all_of_them():
    model, x = build("encoder", "heads")
    changed = x.at[:, -1].set((x[:, -1] + 1) % 11)
    plain = evaluating(model)
    moved = jnp.abs(run(plain, x) - run(plain, changed)).max((0, 2))
    assert (moved > 1e-6).all()


def test_a_row_of_a_table_does_not_see_the_others():
    model, x = build("residual_mlp", "neurons")
    half = evaluating(model, density=0.5)
    np.testing.assert_allclose(run(half, x)[:2], run(half, x[:2]), rtol=1e-5, atol=1e-6)
