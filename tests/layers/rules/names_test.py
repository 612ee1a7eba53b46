"""Places in models: numbers as names, containers, and rules that are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dynsparse
from dynsparse import layers
from dynsparse.gates import GateRecord, records
from tests.layers.proof.proof_test import BLOCKS, GUMBEL, LINEAR, MLP, SOFT
from tests.layers.zoo.foreign import WIDTH, Called, Residual, perceptron

BLOCK = dict(gate=GUMBEL, scorer=LINEAR, **BLOCKS)
X = jnp.ones((2, WIDTH))


def numbered():
    model = Called(lambda m, x: getattr(m, "7")(x))
    setattr(model, "7", Residual())
    return model


HOLDERS = dict(
    dictionary=(
        lambda: Called(
            lambda m, x: m.blocks["0"](m.blocks["10"](x)),
            blocks=nnx.Dict({"0": Residual(), "10": Residual()}),
        ),
        "blocks/*",
        {"blocks/0", "blocks/10"},
    ),
    attribute=(numbered, "7", {"7"}),
    sequence=(
        lambda: Called(
            lambda m, x: m.stack(x), stack=nnx.Sequential(Residual(), Residual())
        ),
        "stack/layers/1",
        {"stack/layers/1"},
    ),
    plain_list=(
        lambda: Called(lambda m, x: m.blocks[0](x), blocks=nnx.data([Residual()])),
        "blocks/0",
        {"blocks/0"},
    ),
)


@pytest.mark.parametrize("name", HOLDERS)
def test_modules_are_found_wherever_they_stand(name):
    make, pattern, names = HOLDERS[name]
    model = dynsparse.sparsify(make(), {pattern: BLOCK}, X, rngs=nnx.Rngs(1, gate=2))
    _, captured = nnx.capture(model, GateRecord)(X)
    assert set(records(captured)) == names


def test_two_modules_of_one_name_are_refused():
    model = nnx.Dict({"a": nnx.Dict({"b": Residual()}), "a/b": Residual()})
    with pytest.raises(ValueError, match="2 modules are called a/b"):
        dynsparse.sparsify(model, {"a/b": BLOCK}, X, rngs=nnx.Rngs(1, gate=2))


def test_gated_layers_stand_inside_of_gated_ones():
    inner = Called(lambda m, x: x + m.mlp(x), mlp=perceptron())
    model = Called(lambda m, x: m.block(x), block=inner)
    rules = {"block": BLOCK, "block/mlp": dict(gate=SOFT, scorer=LINEAR, **MLP)}
    dynsparse.sparsify(model, rules, X, rngs=nnx.Rngs(1, gate=2))
    assert isinstance(model.block, layers.GatedBlock)
    assert isinstance(model.block.host.mlp, layers.GatedNeurons)


RULE = dict(gate=SOFT, scorer=LINEAR, **MLP)
REFUSED = dict(
    second_rule=({"a": RULE, "b": RULE | dict(num_blocks=5)}, "b, by the rule 'b'"),
    scorer=(  # seen when "b" has been replaced
        {"a": RULE | dict(scorer=dict(name="mlp")), "b": RULE},
        "a, by the rule 'a': scorers: mlp needs the key 'hidden'",
    ),
    no_gate=({"a": MLP | dict(scorer=LINEAR)}, "neurons needs a gate"),
    no_blocks=(
        {"a": {key: x for key, x in RULE.items() if key != "num_blocks"}},
        "neurons around Called needs 'num_blocks'",
    ),
    in_a_tuple=({"c/0": BLOCK}, "c/0, by the rule 'c/0': it stands in a tuple"),
)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_changes_nothing(name):
    rules, message = REFUSED[name]
    model = Called(
        lambda m, x: m.a(x) + m.b(x),
        a=perceptron(),
        b=perceptron(),
        c=nnx.data((Residual(),)),
    )
    graphdef, state = nnx.split(model)
    with pytest.raises(ValueError, match=message):
        dynsparse.sparsify(model, rules, X, rngs=nnx.Rngs(1, gate=2))
    after, weights = nnx.split(model)
    assert after == graphdef
    for one, other in zip(
        jax.tree.leaves(weights), jax.tree.leaves(state), strict=True
    ):
        np.testing.assert_array_equal(one, other)
