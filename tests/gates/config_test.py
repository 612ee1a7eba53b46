"""Gates from their configs: what is taken, and what is refused by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from ml_collections import ConfigDict

from dynsparse import gates, ops
from tests.gates.rows import (
    GATES,
    WEIGHTS,
    N,
    Row,
    build,
    by_name,
    every_gate,
    fixed_gates,
    topk,
)


def test_every_gate_is_listed():
    assert {by_name(row) for row in GATES} == set(gates.available())


@fixed_gates
@pytest.mark.parametrize("density", [-0.1, 1.5])
def test_density_out_of_range_is_named(row, density):
    with pytest.raises(
        ValueError, match=rf"density must be in \[0, 1\], got {density}"
    ):
        build(row, density=density)
    with pytest.raises(ValueError, match=rf"got {density}"):
        nnx.view(build(row), density=density)


@pytest.mark.parametrize(
    "row", [r for r in GATES if "temperature" in r.spec], ids=by_name
)
def test_temperature_must_be_positive(row):
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        build(row, temperature=0.0)


@every_gate
def test_unknown_and_missing_keys_are_named(row):
    with pytest.raises(ValueError, match="has no key 'depth'; accepted"):
        build(row, depth=3)
    for key_name in set(row.spec) - {"name"}:
        spec = {k: v for k, v in row.spec.items() if k != key_name}
        with pytest.raises(ValueError, match=f"needs the key '{key_name}'"):
            gates.from_config(spec, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("soft_topkk", "unknown name 'soft_topkk'; accepted: bernoulli.*, dense, "),
        ("base", "unknown name 'base'"),
        ("no_such_package:Gate", "cannot load 'no_such_package:Gate'"),
        ("dynsparse.gates.dense:Nothing", "cannot load"),
        ("math:pi", "math:pi is 3.14.*, not a class or a function"),
        ("x" * 5000, "unknown name .x{200}\.\.\.."),
    ],
)
def test_unknown_gate_is_named_with_what_is_accepted(name, message):
    with pytest.raises(ValueError, match=message):
        gates.from_config(dict(name=name), rngs=nnx.Rngs(0))


class Everything(gates.Gate):
    count = "full"

    def __init__(self, *, rngs: nnx.Rngs):
        del rngs

    def __call__(self, scores):
        return gates.GateOutput(jnp.ones_like(scores), jnp.ones_like(scores))


def test_a_gate_from_outside_the_library_plugs_in_by_name():
    name = f"{Everything.__module__}:Everything"
    gate = gates.from_config(dict(name=name), rngs=nnx.Rngs(0))
    assert isinstance(gate, Everything)


def test_configs_of_ml_collections_are_taken():
    spec = topk("soft_topk", temperature=0.5, family="logistic")
    gate = gates.from_config(ConfigDict(spec).lock(), rngs=nnx.Rngs(0))
    np.testing.assert_allclose(gate.density[...], 0.25)


@pytest.mark.parametrize("family", ops.FAMILIES)
def test_every_family_gives_a_gate(family, key):
    spec = topk("soft_topk", temperature=2.0, family=family)
    scores = jax.random.normal(key, (8, N))
    gradient = jax.jit(jax.grad(lambda s: (build(Row(spec))(s).mask @ WEIGHTS).sum()))
    assert jnp.count_nonzero(gradient(scores)) > 8


OUT_OF_RANGE = [
    ("reinforce", dict(samples=1), "samples must be at least 2, got 1"),
    ("smooth_step", dict(width=0.0), "width must be positive, got 0.0"),
    ("imle", dict(step=-1.0), "step must be positive, got -1.0"),
    ("hard_concrete", dict(low=0.1), "needs low < 0 and high > 1, got 0.1 and 1.1"),
    ("perturbed_topk", dict(sigma=0.0), "got sigma=0.0"),
    ("capped_entmax", dict(alpha=1.0), r"p in \(1, 2\], got 1.0"),
    ("soft_topk", dict(family="tanh"), "unknown family 'tanh'; accepted: logistic"),
    ("ema_threshold", dict(density=1.0), r"density must be in \(0, 1\), got 1.0"),
    ("ema_threshold", dict(decay=1.0), r"decay must be in \[0, 1\), got 1.0"),
]


@pytest.mark.parametrize(("name", "changes", "message"), OUT_OF_RANGE)
def test_values_out_of_range_are_named(name, changes, message):
    row = next(row for row in GATES if by_name(row) == name)
    with pytest.raises(ValueError, match=message):
        build(row, **changes)
