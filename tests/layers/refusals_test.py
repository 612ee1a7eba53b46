"""What gated layers refuse, in words."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from dynsparse import gates, layers
from tests.layers.small_layers import LAYERS, TOKENS, WIDTH, build, inputs

REFUSED = [(layer, gate) for layer, row in LAYERS.items() for gate in row.refused]


@pytest.mark.parametrize(("layer", "gate"), REFUSED)
def test_a_gate_of_another_kind_is_refused_in_words(layer, gate):
    with pytest.raises(
        ValueError,
        match=r"takes gates whose count is (varying|fixed) or full; |a random gate",
    ):
        build(layer, gate)


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (dict(execution="sparse"), "execution must be one of .* got 'sparse'"),
        (dict(capacity_steps=0), "capacity_steps must be at least 1, got 0"),
        (dict(forced_count=TOKENS + 1), rf"forced_count must be in \[0, {TOKENS}\]"),
    ],
)
def test_unknown_views_are_named(view, message):
    with pytest.raises(ValueError, match=message):
        nnx.view(build("tokens", "soft_topk"), **view)


MISFITS = [
    (
        lambda host, **parts: layers.GatedNeurons(host=host, num_blocks=5, **parts),
        "num_blocks=5 must divide the 16 units that down/kernel reads",
    ),
    (
        lambda host, **parts: layers.GatedWidth(
            host=host, num_slices=3, gate=parts["gate"]
        ),
        "num_slices=3 must divide the 16 units that down/kernel reads",
    ),
]


@pytest.mark.parametrize(("make", "message"), MISFITS)
def test_parts_of_unequal_size_are_refused(make, message):
    mlp = layers.Mlp.create(width=WIDTH, hidden=16, rngs=nnx.Rngs(0))
    parts = build("neurons", "soft_topk")
    with pytest.raises(ValueError, match=message):
        make(mlp, scorer=parts.scorer, gate=parts.gate)(inputs("neurons", 2))


def test_tiles_that_do_not_cover_the_image_are_refused():
    module = build("positions", "soft_topk")
    with pytest.raises(ValueError, match=r"tiles of 2 pixels cover \(8, 8\), not"):
        module(jnp.zeros((1, 10, 8, WIDTH)))


@pytest.mark.parametrize("gate", ["sparsemax", "ema_threshold"])
def test_units_cannot_compete_where_there_is_one(gate):
    with pytest.raises(ValueError, match="compete, so it needs more"):
        build("blocks", gate)


def at_positions(host):
    parts = build("positions", "soft_topk")
    place = dict(scorer=parts.scorer, gate=parts.gate, tile=2, grid=(2, 2))
    padded = layers.PaddedOnce(host, halo=0)
    return layers.GatedPositions(host=padded, **place)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: at_positions(nnx.GroupNorm(4, 2, rngs=nnx.Rngs(0))),
            "GroupNorm at .* reads other positions",
        ),
        (
            lambda: at_positions(build("channels", "soft_topk")),
            "GatedChannels at .* decides too",
        ),
        (
            lambda: at_positions(build("neurons", "soft_topk")),
            "GatedNeurons at .* decides too",
        ),
    ],
)
def test_norms_over_what_may_be_skipped_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


class Counting(nnx.Module):
    """Counts its calls."""

    def __init__(self):
        self.calls = nnx.Variable(jnp.zeros(()))

    def __call__(self, x):
        self.calls[...] += 1
        return x


class Recurrent(nnx.Module):
    """Draws a key for its first carry."""

    def __init__(self):
        cell = nnx.SimpleCell(WIDTH, WIDTH, rngs=nnx.Rngs(0))
        self.rnn = nnx.RNN(cell, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.rnn(x)


@pytest.mark.parametrize("host", [Counting, Recurrent])
def test_compact_execution_refuses_hosts_that_change_their_state(host):
    module = build("blocks", "gumbel_sigmoid")
    module.host = host()
    module = gates.evaluating(module, execution="compact")
    with pytest.raises(ValueError, match=rf"residual block.* around {host.__name__}: "):
        jax.eval_shape(module, inputs("blocks", 2))


class Sowing(nnx.Module):
    """Leaves what it sees for `nnx.capture`."""

    def __call__(self, x, mask=None):
        self.sow(nnx.Intermediate, "seen", x)
        return x


@pytest.mark.parametrize("unit", ["blocks", "bypass"])
@pytest.mark.parametrize("jitted", [False, True])
def test_compact_execution_refuses_to_capture_what_hosts_saw(unit, jitted):
    module = build(unit, "gumbel_sigmoid")
    module.host = Sowing()
    x = inputs(unit, 2)
    _, seen = nnx.capture(module, nnx.Intermediate)(x)
    assert jax.tree.leaves(seen)[0].shape == x.shape
    module = gates.evaluating(module, execution="compact")
    forward = lambda module, x: nnx.capture(module, nnx.Intermediate)(x)
    with pytest.raises(ValueError, match="has captured 'seen' in compact execution"):
        (nnx.jit(forward) if jitted else forward)(module, x)


class Decoding(nnx.Module):
    """Counts its steps."""

    def __init__(self):
        self.steps = nnx.Variable(jnp.zeros(()))

    def step(self, token, cache, place, mask):
        self.steps[...] += 1
        return token, cache


def test_decoding_in_compact_execution_refuses_them_too(as_users_call):
    module = build("bypass", "gumbel_sigmoid")
    module.host = Decoding()
    module = gates.evaluating(module, execution="compact")
    step = nnx.jit(lambda module, token: module.step(token, (), 0))
    with pytest.raises(ValueError, match="token.* around Decoding: "):
        step(module, inputs("bypass", 2)[:, :1])
