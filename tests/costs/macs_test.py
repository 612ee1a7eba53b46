"""MACs against hand counts and against XLA."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.experimental import pallas as pl
from jax.sharding import AxisType, PartitionSpec

from dynsparse.costs import count_macs
from dynsparse.layers import TransformerBlock


def zeros(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def xla_macs(function, *args):
    return jax.jit(function).lower(*args).compile().cost_analysis()["flops"] / 2


DOT = lambda x, w: x @ w


def test_dense_layer():
    layer = nnx.Linear(5, 7, rngs=nnx.Rngs(0))
    assert count_macs(layer, zeros(3, 5)) == 3 * 5 * 7


def test_batched_product():
    einsum = lambda a, b: jnp.einsum("bij,bjk->bik", a, b)
    assert count_macs(einsum, zeros(2, 3, 4), zeros(2, 4, 5)) == 2 * 3 * 4 * 5


CONVOLUTIONS = [  # parameters, kernel, outputs per side, taps on the image per side
    (dict(padding="SAME"), (3, 3, 4, 6), 8, 3 * 8 - 2),
    (dict(padding="VALID"), (3, 3, 4, 6), 6, 3 * 6),
    (dict(padding="SAME", strides=2), (3, 3, 4, 6), 4, 3 * 4 - 1),
    (dict(padding="VALID", kernel_dilation=2), (3, 3, 4, 6), 4, 3 * 4),
    (dict(padding="SAME", feature_group_count=2), (3, 3, 2, 6), 8, 3 * 8 - 2),
]


@pytest.mark.parametrize(("settings", "kernel", "outputs", "taps"), CONVOLUTIONS)
def test_convolution(settings, kernel, outputs, taps):
    layer = nnx.Conv(4, 6, (3, 3), rngs=nnx.Rngs(0), use_bias=False, **settings)
    assert layer.kernel.shape == kernel
    image = zeros(2, 8, 8, 4)
    per_tap = 2 * kernel[2] * kernel[3]
    assert count_macs(layer, image) == per_tap * (3 * outputs) ** 2
    without = count_macs(layer, image, padding=False)
    assert without == per_tap * taps**2
    assert without == xla_macs(lambda x: layer(x), image)


def test_transposed_convolution_skips_the_zeros_between():
    kernel = zeros(3, 3, 4, 6)
    transpose = lambda x, k: jax.lax.conv_transpose(x, k, (2, 2), "VALID")
    image = zeros(1, 5, 5, 4)
    assert count_macs(transpose, image, kernel) == (3 * 5) ** 2 * 4 * 6
    assert xla_macs(transpose, image, kernel) == (3 * 5) ** 2 * 4 * 6


def test_attention():
    n, width = 10, 8
    block = TransformerBlock(width=width, num_heads=2, mlp_width=20, rngs=nnx.Rngs(0))
    projections = n * 4 * width * width
    products = 2 * n * n * width
    mlp = 2 * n * width * 20
    assert count_macs(block, zeros(1, n, width)) == projections + products + mlp


def test_library_attention_counts_the_same_products():
    part = zeros(1, 10, 2, 4)
    attend = lambda q, k, v: jax.nn.dot_product_attention(q, k, v)
    assert count_macs(attend, part, part, part) == 2 * 10 * 10 * 8


def scan(x, w):
    return jax.lax.scan(lambda c, _: (c @ w, None), x, None, length=5)[0]


def test_scan_counts_its_body_at_every_turn_where_xla_counts_it_once():
    args = zeros(3, 4), zeros(4, 4)
    assert count_macs(scan, *args) == 5 * 3 * 4 * 4
    assert xla_macs(scan, *args) < 2 * 3 * 4 * 4


def test_cond_counts_the_dearest_branch_as_xla_does():
    branches = [lambda x, w: x, lambda x, w: x @ w, lambda x, w: x @ w @ w]
    switch = lambda i, x, w: jax.lax.switch(i, branches, x, w)
    args = jax.ShapeDtypeStruct((), jnp.int32), zeros(3, 4), zeros(4, 4)
    assert count_macs(switch, *args) == 2 * 3 * 4 * 4
    assert round(xla_macs(switch, *args)) == 2 * 3 * 4 * 4


def test_while_needs_a_bound():
    loop = lambda x, w: jax.lax.while_loop(lambda c: c.sum() < 1, lambda c: c @ w, x)
    args = zeros(3, 4), zeros(4, 4)
    assert count_macs(loop, *args, while_bound=7) == 7 * 3 * 4 * 4
    with pytest.raises(ValueError, match="pass while_bound"):
        count_macs(loop, *args)


def test_a_kernel_counts_at_every_point_of_its_grid():
    def kernel(left, right, out):
        out[...] = left[...] @ right[...]

    row, column = pl.BlockSpec((8, 16), lambda i, j: (i, 0)), (16, 8)
    multiply = pl.pallas_call(
        kernel,
        grid=(2, 3),
        in_specs=[row, pl.BlockSpec(column, lambda i, j: (0, j))],
        out_specs=pl.BlockSpec((8, 8), lambda i, j: (i, j)),
        out_shape=zeros(16, 24),
    )
    assert count_macs(multiply, zeros(16, 16), zeros(16, 24)) == 16 * 16 * 24


def test_a_sharded_function_counts_on_all_devices():
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,))
    parts = PartitionSpec("batch"), PartitionSpec()
    multiply = jax.shard_map(
        lambda x, w: x @ w, mesh=mesh, in_specs=parts, out_specs=parts[0]
    )
    assert count_macs(multiply, zeros(6, 4), zeros(4, 5)) == 6 * 4 * 5


def test_a_loop_that_does_not_multiply_needs_no_bound():
    loop = lambda x: jax.lax.while_loop(lambda c: c.sum() < 1, lambda c: c + 1, x)
    assert count_macs(loop, zeros(3)) == 0


@pytest.mark.parametrize("wrap", [jax.jit, jax.checkpoint, jax.vmap])
def test_wrapped_functions_count_as_what_they_wrap(wrap):
    left, right = zeros(6, 3, 4), zeros(6, 4, 5)
    assert count_macs(wrap(lambda a, b: a @ b), left, right) == 6 * 3 * 4 * 5


def test_ragged_product_counts_every_row_once_where_xla_counts_it_for_every_group():
    args = zeros(8, 4), zeros(2, 4, 5), jax.ShapeDtypeStruct((2,), jnp.int32)
    assert count_macs(jax.lax.ragged_dot, *args) == 8 * 4 * 5
    assert xla_macs(jax.lax.ragged_dot, *args) > 2 * 8 * 4 * 5


def test_dead_code_is_not_counted():
    dead = lambda x, w: (x @ w, x + 1)[1]
    assert count_macs(dead, zeros(3, 4), zeros(4, 4)) == 0


def test_gradient_of_a_product_is_two_more():
    loss = lambda x, w: jnp.square(x @ w).sum()
    gradient = jax.grad(loss, argnums=(0, 1))
    assert count_macs(gradient, zeros(3, 4), zeros(4, 5)) == 3 * (3 * 4 * 5)


def static_model():
    rngs = nnx.Rngs(0)
    convolution = nnx.Conv(3, 8, (3, 3), padding="VALID", use_bias=False, rngs=rngs)
    dense = nnx.Linear(8 * 6 * 6, 10, use_bias=False, rngs=rngs)
    return lambda x: dense(convolution(x).reshape(x.shape[0], -1))


def test_static_model_agrees_with_xla_exactly():
    model, image = static_model(), zeros(4, 8, 8, 3)
    assert count_macs(model, image) == xla_macs(model, image)


def test_nothing_runs():
    n = 100_000  # 120 GB, if it ran
    assert count_macs(DOT, zeros(n, n), zeros(n, n)) == n**3


def test_modules_that_draw_noise_are_counted(key):
    model = nnx.Sequential(
        nnx.Linear(4, 5, rngs=nnx.Rngs(0)), nnx.Dropout(0.5, rngs=nnx.Rngs(1))
    )
    assert count_macs(model, zeros(3, 4)) == 3 * 4 * 5
    assert np.isfinite(model(jax.random.normal(key, (3, 4)))).all()
