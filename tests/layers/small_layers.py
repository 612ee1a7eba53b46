"""The rows of the layer tests: small layers of every granularity."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from dynsparse import gates, layers
from dynsparse.layers.scorers.base import Network
from dynsparse.layers.scorers.confidence import Confidence
from dynsparse.models.base.residual import ConvPair
from tests.gates.rows import GATES

TOKENS, WIDTH = 12, 8
VALUES = 5  # of each field
SIDE = 8  # of images, with WIDTH channels


@dataclasses.dataclass(frozen=True)
class Row:
    """A granularity.

    Attributes:
        build: From a gate and rngs to the layer.
        gates: Gates that it takes: one of each kind that makes sense, one whose masks
            are soft and the controls.
        refused: Gates that it does not take.
        reads: What its input is: "tokens", [batch, TOKENS, WIDTH]; "images", [batch,
            SIDE, SIDE, WIDTH]; "codes", [batch, TOKENS].
        pair: MACs of one open unit of one example, where they do not depend on others.
        chained: Whether gates read features that gates before them let run. How many
            rows are multiplied together decides the last bits of such features.
    """

    build: Callable
    gates: tuple[str, ...]
    refused: tuple[str, ...] = ()
    reads: str = "tokens"
    pair: int | None = None
    chained: bool = False


SPECS = {row.spec["name"]: row.spec for row in GATES}
KINDS = ("dense", "gumbel_sigmoid", "hard_concrete", "random_topk", "soft_topk")
VARYING = ("dense", "gumbel_sigmoid", "hard_concrete")


class Images(nnx.Module):
    """The branch of gated positions: two convolutions and what lies between."""

    def __init__(self, rngs):
        valid = dict(kernel_size=(3, 3), padding="VALID", rngs=rngs)
        self.first = nnx.Conv(WIDTH, WIDTH, **valid)
        self.second = nnx.Conv(WIDTH, WIDTH, **valid)

    def __call__(self, x):
        return self.second(jax.nn.relu(self.first(x)))


def stages(gate, rngs):
    """Three stages, of which the last two are gated, with an answer after each."""
    stage = lambda body: layers.Stage(body, Answer(rngs), num_classes=3)
    passes = nnx.Sequential(lambda x: x)
    network = layers.Stages([stage(passes), stage(block(rngs)), stage(block(rngs))])
    network.rest = nnx.List(
        layers.GatedStage(
            host=host,
            scorer=layers.make_scorer(
                dict(name="confidence", threshold=0.7, sharpness=30.0),
                layers.GatedStage,
                width=3,
                num_units=1,
                rngs=rngs,
            ),
            gate=own,
        )
        for host, own in zip(network.rest, (gate, nnx.clone(gate)), strict=True)
    )
    return network


class Answer(nnx.Linear):
    def __init__(self, rngs):
        super().__init__(WIDTH, 3, rngs=rngs)

    def __call__(self, x):
        return 3 * super().__call__(x.mean(1))


def block(rngs):
    return layers.TransformerBlock(width=WIDTH, num_heads=2, mlp_width=16, rngs=rngs)


class Fields(nnx.Module):
    """Looks fields up and mixes them."""

    def __init__(self, rngs):
        self.embed = layers.FieldEmbedding(
            sizes=(VALUES,) * TOKENS, width=WIDTH, rngs=rngs
        )
        self.block = block(rngs)

    def __call__(self, codes, mask=None):
        return self.block(self.embed(codes), mask)


EMBEDDING = layers.FieldEmbedding(sizes=(VALUES,) * TOKENS, width=1, rngs=nnx.Rngs(0))


def scorer(layer, rngs, num_units=1, width=WIDTH):
    config = dict(name="mlp", hidden=4)
    return layers.make_scorer(
        config, layer, width=width, num_units=num_units, rngs=rngs
    )


def tokens(gate, rngs, layer=layers.GatedTokens):
    score = scorer(layer, rngs)
    return layer(host=block(rngs), scorer=score, gate=gate, num_tokens=TOKENS)


def bypass(gate, rngs):
    return tokens(gate, rngs, layers.BypassedTokens)


def blocks(gate, rngs):
    score = scorer(layers.GatedBlock, rngs)
    return layers.GatedBlock(host=block(rngs), scorer=score, gate=gate)


def heads(gate, rngs):
    return layers.GatedHeads(
        host=layers.Attention(width=WIDTH, num_heads=4, rngs=rngs),
        scorer=scorer(layers.GatedHeads, rngs, 4),
        gate=gate,
        num_heads=4,
    )


def neurons(gate, rngs):
    return layers.GatedNeurons(
        host=layers.Mlp.create(width=WIDTH, hidden=16, rngs=rngs),
        scorer=scorer(layers.GatedNeurons, rngs, 4),
        gate=gate,
        num_blocks=4,
    )


def experts(gate, rngs, layer=layers.GatedExperts, **options):
    return layer(
        host=layers.Experts(width=WIDTH, hidden=6, num_experts=4, rngs=rngs),
        scorer=scorer(layer, rngs, 4),
        gate=gate,
        **options,
    )


def dropped(gate, rngs):
    return experts(gate, rngs, max_tokens=6)


def expert_choice(gate, rngs):
    return experts(gate, rngs, layers.ExpertChoice)


def features(gate, rngs):
    return layers.GatedFeatures(
        host=Fields(rngs),
        scorer=scorer(layers.GatedFeatures, rngs, TOKENS, width=VALUES * TOKENS),
        gate=gate,
        num_fields=TOKENS,
    )


def channels(gate, rngs):
    conv = lambda: nnx.Conv(WIDTH, WIDTH, (3, 3), rngs=rngs)
    norm = nnx.BatchNorm(WIDTH, rngs=rngs)
    norm.mean[...] = jnp.linspace(-0.2, 0.3, WIDTH, dtype=jnp.float32)
    return layers.GatedChannels(
        host=ConvPair(first=conv(), norm=norm, second=conv()),
        scorer=scorer(layers.GatedChannels, rngs, 4),
        gate=gate,
        num_groups=4,
    )


def positions(gate, rngs):
    return layers.GatedPositions(
        host=layers.PaddedOnce(Images(rngs), halo=2),
        scorer=scorer(layers.GatedPositions, rngs),
        gate=gate,
        tile=2,
        grid=(SIDE // 2, SIDE // 2),
    )


def width(gate, rngs):
    host = layers.Mlp.create(width=WIDTH, hidden=16, rngs=rngs)
    return layers.GatedWidth(host=host, gate=gate, num_slices=4)


LAYERS = dict(
    blocks=Row(blocks, VARYING, refused=("random_topk", "soft_topk")),
    bypass=Row(bypass, KINDS),
    channels=Row(channels, KINDS, reads="images", pair=2 * 9 * SIDE**2 * WIDTH * 2),
    exits=Row(stages, VARYING, refused=("soft_topk",), chained=True),
    dropped=Row(dropped, ("gumbel_sigmoid", "soft_topk")),
    expert_choice=Row(expert_choice, KINDS, pair=2 * WIDTH * 6),
    experts=Row(experts, KINDS, pair=2 * WIDTH * 6),
    features=Row(features, KINDS, reads="codes"),
    heads=Row(heads, KINDS, pair=4 * TOKENS * WIDTH * 2 + 2 * TOKENS**2 * WIDTH // 4),
    neurons=Row(neurons, KINDS, pair=2 * WIDTH * 4),
    positions=Row(positions, KINDS, reads="images", pair=9 * (16 + 4) * WIDTH**2),
    tokens=Row(tokens, KINDS),
    width=Row(
        width,
        ("dense", "soft_topk"),
        refused=("gumbel_sigmoid", "random_topk"),
        pair=2 * TOKENS * WIDTH * 4,
    ),
)
PAIRS = [(layer, gate) for layer, row in LAYERS.items() for gate in row.gates]
VARYING_LAYERS = [name for name, row in LAYERS.items() if "gumbel_sigmoid" in row.gates]


def inputs(layer, batch, dtype=jnp.float32):
    key, reads = jax.random.key(batch), LAYERS[layer].reads
    if reads == "codes":
        values = jax.random.randint(key, (batch, TOKENS), 0, VALUES)
        return layers.FieldEmbedding.codes(EMBEDDING, values)
    shape = (SIDE, SIDE, WIDTH) if reads == "images" else (TOKENS, WIDTH)
    return jax.random.normal(key, (batch, *shape), dtype)


def build(layer, gate, dtype=jnp.float32, spread=4.0, bias=0.0):
    """A layer whose scores are spread, so that varying counts vary."""
    wide = jax.config.jax_enable_x64
    return nnx.clone(_built(layer, gate, dtype, spread, bias, wide))


@functools.cache
def _built(layer, gate, dtype, spread, bias, wide):
    """What `build` gives copies of: its parameters are drawn once."""
    del wide  # a setting that what is drawn may depend on
    rngs = nnx.Rngs(0, gate=1)
    module = LAYERS[layer].build(gates.from_config(SPECS[gate], rngs=rngs), rngs)
    for _, part in nnx.iter_modules(module):
        if isinstance(part, Network):
            part.score.kernel[...] *= spread
            part.score.bias[...] += bias
        elif isinstance(part, Confidence):
            part.threshold[...] += bias
    cast = lambda x: x.astype(dtype) if x.dtype == jnp.float32 else x
    graphdef, params, rest = nnx.split(module, nnx.Param, ...)
    return nnx.merge(graphdef, jax.tree.map(cast, params), rest)


class Inner(nnx.Module):
    """The host of tokens that are gated around another gated layer."""

    def __init__(self, layer, gate="gumbel_sigmoid"):
        self.inner = build(layer, gate)

    def __call__(self, tokens, mask):
        return self.inner(tokens, mask)


def output(result):
    """The array that a layer returns, with or without a mask."""
    return result[0] if isinstance(result, tuple) else result


def compact_view(module, gate):
    fixed = issubclass(gates.find(gate), gates.TopkGate)
    density = SPECS[gate]["density"] if fixed else None
    return gates.evaluating(module, execution="compact", density=density)
