"""What `sparsify` makes is the model that was there, or is refused in one line."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dynsparse
from dynsparse import layers
from tests.layers.zoo import foreign
from tests.layers.zoo.foreign import WIDTH, fresh

SOFT = dict(name="soft_topk", density=0.5, temperature=1.0, family="logistic")
GUMBEL = dict(name="gumbel_sigmoid", temperature=1.0)
LINEAR = dict(name="linear")
MLP = dict(granularity="neurons", num_blocks=4)
WIDE = dict(granularity="width", num_slices=4)
PAIR = dict(granularity="channels", num_groups=4)
HEADS = dict(granularity="heads")
BYPASS = dict(granularity="bypass")
TOKENS = dict(granularity="tokens")
BLOCKS = dict(granularity="blocks")
POSITIONS = dict(granularity="positions", tile=2, halo=1, grid=(4, 4))
X = jax.random.normal(jax.random.key(0), (3, 6, WIDTH))
IMAGE = jax.random.normal(jax.random.key(1), (3, 4, 4, WIDTH))


def sparse(part, rule, x=X, net=foreign.Net):
    gate = GUMBEL if rule["granularity"] == "blocks" else SOFT
    scorer = {} if rule["granularity"] == "width" else dict(scorer=LINEAR)
    rules = {"part": dict(gate=gate, **scorer, **rule)}
    return dynsparse.sparsify(net(part), rules, x, rngs=nnx.Rngs(1, gate=2))


def linear(ins=WIDTH, outs=16):
    return nnx.Linear(ins, outs, rngs=fresh())


def residual(call):
    return lambda: foreign.Residual(call)


def called(call):
    """A net that calls its part in a way of its own."""
    return lambda part: foreign.Called(call, part=part)


def excited(m, x):
    """A sum over the units weighs the units."""
    y = jax.nn.relu(m.up(x))
    return m.down(y * jax.nn.sigmoid(m.back(m.squeeze(y))))


PLACES = "in compact execution with some units closed"
REFUSED = dict(
    norm_between=(
        lambda: foreign.perceptron(
            lambda m, x: m.down(m.norm(m.up(x))), norm=nnx.LayerNorm(16, rngs=fresh())
        ),
        MLP,
        "down/kernel: reduce_sum over it",
    ),
    softmax_over_units=(
        lambda: foreign.perceptron(lambda m, x: m.down(jax.nn.softmax(m.up(x)))),
        WIDE,
        "down/kernel: reduce_max over it",
    ),
    units_in_the_result=(
        lambda: foreign.perceptron(lambda m, x: (x, m.up(x) + m.down(m.up(x)).sum())),
        MLP,
        "down/kernel: the host's result has them",
    ),
    mean_of_kernels=(
        lambda: foreign.perceptron(kind=foreign.Standardized),
        MLP,
        "down/kernel: reduce_sum over it",
    ),
    squeeze_and_excite=(
        lambda: foreign.perceptron(excited, squeeze=linear(16, 4), back=linear(4, 16)),
        MLP,
        "a sum over the units decides about the units",
    ),
    no_heads=(foreign.perceptron, HEADS, "what it reads is not split into heads"),
    places_of_dropped=(lambda: foreign.Block(foreign.by_place), TOKENS, PLACES),
    places_that_are_zero=(foreign.Placed, TOKENS, PLACES),
    mean_of_tokens=(
        lambda: foreign.Block(foreign.normed_over_tokens),
        BYPASS,
        "tokens are mixed by other means .reduce_sum over it",
    ),
    no_mask=(lambda: foreign.Block(takes_mask=False), TOKENS, PLACES),
    another_second=(foreign.Biased, TOKENS, "with a mask of ones"),
    one_argument=(foreign.Residual, TOKENS, "need a host that is called with its"),
    mixed_by_parameters=(
        lambda: foreign.Called(
            lambda m, x: x + jnp.einsum("bnd,nm->bmd", x, m.mix.kernel[...]),
            mix=linear(6, 6),
        ),
        BYPASS,
        "tokens are mixed by parameters or places",
    ),
    along_tokens=(
        residual(lambda m, x: x + jnp.cumsum(m.linear(x), 1)),
        BYPASS,
        "tokens are mixed by other means .cumsum along it",
    ),
    pair_of_tokens=(
        residual(lambda m, x: (x + m.linear(x), x)),
        BYPASS,
        "tokens bypass hosts that give one array",
    ),
    another_shape=(
        residual(lambda m, x: m.linear(x).mean(-1)),
        BLOCKS,
        "no result has the shape",
    ),
    mean_of_batch=(
        residual(lambda m, x: x + m.linear(x).mean(0, keepdims=True)),
        BLOCKS,
        "examples depend on each other or on their number .reduce_sum over it",
    ),
    numbered_examples=(
        residual(lambda m, x: x + m.linear(x) * jnp.arange(3.0)[:, None, None]),
        BLOCKS,
        "its entries are numbered",
    ),
    sum_over_examples=(
        residual(
            lambda m, x: x + jnp.einsum("bnd,cnd->bc", x, x).sum(1)[:, None, None]
        ),
        BLOCKS,
        "examples depend on each other",
    ),
    branch=(
        foreign.convolutions,
        POSITIONS,
        "GatedPositions needs layers.PaddedOnce, got",
    ),
)
CALLS = dict(
    twice=(lambda m, x: m.part(m.part(x)), "it is called twice"),
    never=(lambda m, x: x, "the example never calls it"),
    vmapped=(lambda m, x: jax.vmap(m.part)(x), "inside of a transformation"),
    flag=(lambda m, x: m.part(x, 3), "the model cannot be called with the example"),
)


def check_refusal(message, part, rule, *args, **kwargs):
    with pytest.raises(ValueError, match=message) as caught:
        sparse(part, rule, *args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_another_model_is_refused_in_one_line(name):
    make, rule, message = REFUSED[name]
    x = IMAGE if rule["granularity"] in ("channels", "positions") else X
    text = check_refusal(message, make(), rule, x)
    assert text.startswith("sparsify: part, by the rule 'part': ")


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_cannot_be_gated_is_refused_in_one_line(name):
    call, message = CALLS[name]
    check_refusal(message, foreign.Residual(), BLOCKS, net=called(call))


ACCEPTED = dict(
    perceptron=(foreign.perceptron, MLP),
    gated=(
        lambda: foreign.perceptron(
            lambda m, x: m.down(jax.nn.silu(m.side(x)) * m.up(x)), side=linear()
        ),
        MLP,
    ),
    skip_inside=(
        lambda: foreign.perceptron(lambda m, x: x + m.down(jax.nn.relu(m.up(x)))),
        WIDE,
    ),
    dropout=(
        lambda: foreign.perceptron(
            lambda m, x: m.down(m.dropout(jax.nn.relu(m.up(x)))),
            dropout=nnx.Dropout(0.5, rngs=fresh()),
        ),
        MLP,
    ),
    clipped=(
        lambda: foreign.perceptron(lambda m, x: m.down(jax.nn.relu6(m.up(x)))),
        MLP,
    ),
    adapter=(lambda: foreign.perceptron(kind=foreign.adapted), WIDE),
    coarse=(
        lambda: foreign.perceptron(
            kind=lambda ins, outs, rngs: nnx.Linear(
                ins, outs, param_dtype=jnp.bfloat16, rngs=rngs
            )
        ),
        WIDE,
    ),
    last_activation=(
        lambda: foreign.convolutions(
            lambda m, x: jax.nn.relu(m.second(jax.nn.relu(m.first(x))))
        ),
        PAIR,
    ),
    masked_conv=(lambda: foreign.convolutions(kind=foreign.masked_conv), PAIR),
    doubled=(lambda: foreign.attention(foreign.Doubled), HEADS),
    attention=(foreign.Block, BYPASS),
    places=(lambda: foreign.Block(foreign.by_place), BYPASS),
    skip_outside_of_tokens=(lambda: foreign.Block(skip=False), BYPASS),
    one_argument=(foreign.Residual, BYPASS),
    dropped=(foreign.Block, TOKENS),
    pair=(residual(lambda m, x: (x + m.linear(x), None)), BLOCKS),
    skip_outside=(residual(lambda m, x: jax.nn.relu(m.linear(x))), BLOCKS),
)


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_stays_the_model_is_accepted(name):
    make, rule = ACCEPTED[name]
    part = make()
    before = jax.tree.map(jnp.array, nnx.state(part))
    model = sparse(part, rule, IMAGE if rule is PAIR else X)
    assert isinstance(model.part, layers.GatedLayer)
    for one, other in zip(
        jax.tree.leaves(nnx.state(part)), jax.tree.leaves(before), strict=True
    ):
        if not jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
            np.testing.assert_array_equal(one, other)


def test_a_model_without_values_is_proved_all_the_same():
    model = nnx.eval_shape(lambda: sparse(foreign.perceptron(), MLP))
    assert isinstance(model.part, layers.GatedNeurons)
    make, rule, message = REFUSED["norm_between"]
    with pytest.raises(ValueError, match=message):
        nnx.eval_shape(lambda: sparse(make(), rule))


def test_shapes_will_do_for_an_example():
    shape = jax.ShapeDtypeStruct(X.shape, X.dtype)
    assert isinstance(
        sparse(foreign.perceptron(), MLP, shape).part, layers.GatedNeurons
    )


@pytest.mark.parametrize("name", ["coarse", "attention"])
def test_settings_of_jax_do_not_decide(name):
    make, rule = ACCEPTED[name]
    with jax.numpy_dtype_promotion("strict"), jax.debug_nans(True):
        assert isinstance(sparse(make(), rule).part, layers.GatedLayer)


def test_layers_of_one_structure_are_proved_once(monkeypatch):
    proved = []
    module = sys.modules["dynsparse.layers.rules.sparsify"]  # `layers` has the function
    monkeypatch.setattr(module, "prove", lambda layer, call: proved.append(layer))
    call = lambda m, x: m.down(jax.nn.relu(m.up(x)))
    parts = {name: foreign.perceptron(call) for name in "abc"}
    model = foreign.Called(lambda m, x: m.a(m.b(m.c(x))), **parts)
    model.c.extra = "another"
    rule = dict(gate=SOFT, scorer=LINEAR, **MLP)
    dynsparse.sparsify(model, {"*": rule}, X, rngs=nnx.Rngs(1, gate=2))
    layers.gated(
        layers.Mlp.create(width=WIDTH, hidden=16, rngs=fresh()),
        **rule,
        rngs=nnx.Rngs(1, gate=2),
    )
    assert len(proved) == 2
