"""Codes of fields: what is out of range and narrow integers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse.layers import FieldEmbedding, GatedFeatures, make_scorer

SIZES = (200, 3, 200)
NUM_CODES = sum(SIZES)


@pytest.fixture(scope="module")
def table():
    return FieldEmbedding(sizes=SIZES, width=2, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "int32", "uint32", "int64"])
@pytest.mark.parametrize("module", [np, jnp])
def test_codes_do_not_wrap_in_narrow_integers(table, kind, module):
    if (module, kind) == (jnp, "int64"):
        kind = "int32"
    values = module.ones((1, 3), getattr(module, kind)) * 2
    codes = table.codes(values)
    assert codes.dtype == jnp.int32
    assert codes.tolist() == jax.jit(table.codes)(values).tolist() == [[2, 202, 205]]


@pytest.mark.parametrize("value", [-1, 3, 2**31, -(2**40)])
def test_a_known_value_outside_of_its_field_is_named(table, value):
    values = np.array([[0, 0, 0], [0, value, 0]])
    message = rf"field 1 has values in \[0, 3\), got {value} in example 1"
    with pytest.raises(ValueError, match=message):
        table.codes(values)


@pytest.mark.parametrize("value", [-1, 3, 127, -128])
def test_under_jit_a_value_outside_of_its_field_is_zeros(table, value):
    values = jnp.array([[1, value, 1]], jnp.int8)
    found = jax.jit(lambda values: table(table.codes(values)))(values)
    np.testing.assert_array_equal(found[0, 1], 0)
    np.testing.assert_array_equal(found[0, ::2], table.table[...][np.array([1, 204])])


def test_what_is_no_code_is_zeros_for_scorers_too():
    scorer = make_scorer(
        dict(name="linear"),
        GatedFeatures,
        width=NUM_CODES,
        num_units=3,
        rngs=nnx.Rngs(0),
    )
    known = jnp.array([[1, 202, 205]])
    scorer.embed.embedding[...] = scorer.embed.embedding[...].at[202].set(0)
    for code in (-1, NUM_CODES):
        missing = known.at[0, 1].set(code)
        np.testing.assert_array_equal(scorer(missing), scorer(known))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda table: table.codes(jnp.zeros((1, 3))), "an integer type, got float32"),
        (lambda table: table.codes(jnp.zeros((1, 2), int)), "has 3 fields, got values"),
        (lambda _: FieldEmbedding(sizes=(5, 0), width=2, rngs=nnx.Rngs(0)), "at least"),
        (
            lambda _: FieldEmbedding(sizes=(2**30,) * 2, width=1, rngs=nnx.Rngs(0)),
            "fewer than 2..31 codes",
        ),
    ],
)
def test_mistakes_are_named(table, make, message):
    with pytest.raises(ValueError, match=message):
        make(table)
