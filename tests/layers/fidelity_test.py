"""What `sparsify` makes is the model that was there, or is refused."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dynsparse
from dynsparse import layers
from tests.layers import foreign
from tests.layers.foreign import WIDTH, fresh

SOFT = dict(name="soft_topk", density=0.5, temperature=1.0, family="logistic")
GUMBEL = dict(name="gumbel_sigmoid", temperature=1.0)
LINEAR = dict(name="linear")
RELU = dict(activation=jax.nn.relu)
MLP = dict(granularity="neurons", num_blocks=4, up="up", down="down", **RELU)
WIDE = dict(granularity="width", num_slices=4, up="up", down="down", **RELU)
PAIR = dict(granularity="channels", num_groups=4, first="first", second="second")
PAIR |= dict(norm=None, **RELU)
HEADS = dict(granularity="heads")
BYPASS = dict(granularity="bypass", width=WIDTH, num_tokens=6)
TOKENS = dict(granularity="tokens", width=WIDTH, num_tokens=6)
BLOCKS = dict(granularity="blocks", width=WIDTH)
POSITIONS = dict(granularity="positions", width=WIDTH, tile=2, halo=1, grid=(4, 4))


def sparse(part, rule):
    gate = GUMBEL if rule["granularity"] == "blocks" else SOFT
    scorer = {} if rule["granularity"] == "width" else dict(scorer=LINEAR)
    rules = {"part": dict(gate=gate, **scorer, **rule)}
    return dynsparse.sparsify(foreign.Net(part), rules, rngs=nnx.Rngs(1, gate=2))


def linear(ins=WIDTH, outs=16):
    return nnx.Linear(ins, outs, rngs=fresh())


def gated_linear(m, x):
    return m.down(jax.nn.silu(m.side(x)) * m.up(x))


LOST = "more parts than the rule names, which would be lost: "
OTHER = "with every unit open the gated module's answer would differ"
PLACES = "must not read places or statistics of tokens: with some closed"
REFUSED = dict(
    third_matrix=(
        lambda: foreign.perceptron(gated_linear, side=linear()),
        MLP,
        LOST + "side",
    ),
    norm_between=(
        lambda: foreign.perceptron(norm=nnx.LayerNorm(16, rngs=fresh())),
        MLP,
        LOST + "norm",
    ),
    parameter=(
        lambda: foreign.perceptron(scale=nnx.Param(jnp.zeros(()))),
        WIDE,
        LOST + "scale",
    ),
    norm_behind=(
        lambda: foreign.convolutions(norm=nnx.BatchNorm(WIDTH, rngs=fresh())),
        PAIR,
        LOST + "norm",
    ),
    dropout=(
        lambda: foreign.perceptron(
            lambda m, x: m.down(m.dropout(jax.nn.relu(m.up(x)))),
            dropout=nnx.Dropout(0.5, rngs=fresh()),
        ),
        MLP,
        "in training with every unit open",
    ),
    skip_inside=(
        lambda: foreign.perceptron(lambda m, x: x + m.down(jax.nn.relu(m.up(x)))),
        WIDE,
        OTHER,
    ),
    last_activation=(
        lambda: foreign.convolutions(
            lambda m, x: jax.nn.relu(m.second(jax.nn.relu(m.first(x))))
        ),
        PAIR,
        OTHER,
    ),
    exact_gelu=(
        lambda: foreign.perceptron(
            lambda m, x: m.down(jax.nn.gelu(m.up(x), approximate=False))
        ),
        MLP | dict(activation=jax.nn.gelu),
        OTHER,
    ),
    clipped=(
        lambda: foreign.perceptron(lambda m, x: m.down(jax.nn.relu6(m.up(x)))),
        MLP,
        OTHER,
    ),
    mean_of_rows=(  # another map for tokens alone, not for examples of one row
        lambda: foreign.perceptron(
            lambda m, x: m.down(
                jax.nn.relu(m.up(x - x.mean(1, keepdims=True) if x.ndim == 3 else x))
            )
        ),
        MLP,
        OTHER,
    ),
    linear_of_its_own=(
        lambda: foreign.perceptron(kind=foreign.Standardized),
        MLP,
        "a plain nnx.Linear can be gated in parts, got Standardized, with a call",
    ),
    adapter=(
        lambda: foreign.perceptron(kind=foreign.adapted),
        WIDE,
        "a plain nnx.Linear can be gated in parts, got LoRALinear",
    ),
    conv_of_its_own=(
        lambda: foreign.convolutions(kind=foreign.ShiftedConv),
        PAIR,
        "a plain nnx.Conv can be gated in parts, got ShiftedConv",
    ),
    masked_conv=(
        lambda: foreign.convolutions(kind=foreign.masked_conv),
        PAIR,
        "nnx.Conv without a mask on its kernel",
    ),
    names_alone=(
        lambda: foreign.perceptron(activation=jax.nn.relu),
        dict(granularity="neurons", num_blocks=4),
        "needs the names of its parts: activation, down, up",
    ),
    attention_of_its_own=(
        lambda: foreign.attention(foreign.Doubled),
        HEADS,
        "a plain nnx.MultiHeadAttention can be gated in parts, got Doubled",
    ),
    adapted_attention=(
        lambda: foreign.attention(query=foreign.adapted(WIDTH, WIDTH, rngs=fresh())),
        HEADS,
        "a plain nnx.LinearGeneral can be gated in parts, got LoRALinear",
    ),
    places=(lambda: foreign.Block(foreign.by_place), BYPASS, PLACES),
    places_of_dropped=(lambda: foreign.Block(foreign.by_place), TOKENS, PLACES),
    places_that_are_zero=(foreign.Placed, BYPASS, PLACES),
    mean_of_tokens=(
        lambda: foreign.Block(foreign.normed_over_tokens),
        BYPASS,
        PLACES,
    ),
    no_mask=(lambda: foreign.Block(takes_mask=False), BYPASS, PLACES),
    another_second=(foreign.Biased, BYPASS, "must be the mask of open tokens"),
    one_argument=(foreign.Residual, BYPASS, "calls its host with its input and the"),
    more_arguments=(foreign.Cached, BLOCKS, "Cached is called with .x, cache, "),
    pair=(
        lambda: foreign.Residual(lambda m, x: (x + m.linear(x), None)),
        BLOCKS,
        "it gives a tuple, not one array",
    ),
    another_shape=(
        lambda: foreign.Residual(lambda m, x: m.linear(x).mean(-1)),
        BLOCKS,
        "not the shape of its input",
    ),
    mean_of_batch=(
        lambda: foreign.Residual(lambda m, x: x + m.linear(x).mean(0, keepdims=True)),
        BLOCKS,
        "for one example alone",
    ),
    skip_outside=(
        lambda: foreign.Residual(lambda m, x: jax.nn.relu(m.linear(x))),
        BLOCKS,
        "no skip of its own",
    ),
    skip_outside_of_tokens=(
        lambda: foreign.Block(skip=False),
        BYPASS,
        "no skip of its own",
    ),
    scanned=(foreign.stacked, BLOCKS, "3 layers for one nnx.scan"),
    branch=(
        foreign.convolutions,
        POSITIONS,
        "the layer adds its input to the output of its host",
    ),
    odd_image=(foreign.Grid, BLOCKS, "give its `shape`"),
)


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_another_model_is_refused_in_one_line(name):
    make, rule, message = REFUSED[name]
    with pytest.raises(ValueError, match=message) as caught:
        sparse(make(), rule)
    text = str(caught.value)
    assert text.startswith("sparsify: part, by the rule 'part': ")
    assert "\n" not in text


ACCEPTED = dict(
    perceptron=(foreign.perceptron, MLP),
    renamed=(lambda: foreign.perceptron(kind=foreign.Renamed), MLP),
    coarse=(
        lambda: foreign.perceptron(
            kind=lambda ins, outs, rngs: nnx.Linear(
                ins, outs, param_dtype=jnp.bfloat16, rngs=rngs
            )
        ),
        WIDE,
    ),
    undecided=(lambda: nnx.MultiHeadAttention(2, WIDTH, rngs=fresh()), HEADS),
    attention=(foreign.Block, BYPASS),
    dropped=(foreign.Block, TOKENS),
    eleven_tokens=(foreign.Mixed, BLOCKS),
    image=(
        lambda: foreign.Residual(
            lambda m, x: x + nnx.avg_pool(m.linear(x), (3, 3), padding="SAME")
        ),
        BLOCKS,
    ),
    told_shape=(foreign.Grid, BLOCKS | dict(shape=(35, WIDTH))),
)


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_stays_the_model_is_accepted(name):
    make, rule = ACCEPTED[name]
    part = make()
    before = jax.tree.map(jnp.array, nnx.state(part))
    model = sparse(part, rule)
    assert isinstance(model.part, layers.GatedLayer)
    for one, other in zip(
        jax.tree.leaves(nnx.state(part)), jax.tree.leaves(before), strict=True
    ):
        np.testing.assert_array_equal(jax.device_get(one), jax.device_get(other))


def test_a_model_without_values_is_tried_all_the_same():
    model = nnx.eval_shape(lambda: sparse(foreign.perceptron(), MLP))
    assert isinstance(model.part, layers.GatedNeurons)
    make, rule, _ = REFUSED["skip_inside"]
    with pytest.raises(ValueError, match=OTHER):
        nnx.eval_shape(lambda: sparse(make(), rule))


@pytest.mark.parametrize("name", ["coarse", "attention"])
def test_settings_of_jax_do_not_decide(name):
    make, rule = ACCEPTED[name]
    with jax.numpy_dtype_promotion("strict"), jax.debug_nans(True):
        assert isinstance(sparse(make(), rule).part, layers.GatedLayer)


def test_layers_of_one_structure_are_tried_once(monkeypatch):
    tried = []
    module = sys.modules["dynsparse.layers.sparsify"]  # `layers` has the function
    monkeypatch.setattr(module, "prove", lambda host, *_, **__: tried.append(host))
    call = lambda m, x: m.down(jax.nn.relu(m.up(x)))
    model = nnx.Dict({name: foreign.perceptron(call) for name in "abc"})
    model["c"].extra = "another"
    rule = dict(gate=SOFT, scorer=LINEAR, **MLP)
    dynsparse.sparsify(model, {"*": rule}, rngs=nnx.Rngs(1, gate=2))
    layers.gated(foreign.perceptron(), **rule, rngs=nnx.Rngs(1, gate=2))
    assert len(tried) == 2
