"""The networks of wall_clock: all their MACs are gated, in one granularity each."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from dynsparse import gates, layers
from dynsparse.layers.scorers.confidence import Confidence


def build(
    granularity: str, gate: dict[str, Any], rngs: nnx.Rngs, *, small: bool
) -> tuple[nnx.Module, Callable[[jax.Array, int], jax.Array]]:
    """Returns a network, and a function from a key and a number to as many inputs.

    Args:
        granularity: One of `wall_clock.GRANULARITIES`.
        gate: Config of the gates.
        rngs: Streams `params` and `gate`.
        small: Whether the network is one to test with.
    """
    width, hidden, n, side = (16, 32, 16, 16) if small else (384, 1536, 64, 16)
    channels, tile = (8, 4) if small else (128, 8)
    fields, values = (8, 3) if small else (40, 1000)
    grid = (side // 4, side // 4) if small else (4, 4)
    scorer: dict[str, Any] = dict(name="mlp", hidden=4 if small else 32)
    if granularity == "exits":
        scorer = dict(name="confidence", threshold=0.9, sharpness=10.0)

    def gated(host: nnx.Module, **options: Any) -> nnx.Module:
        return layers.gated(
            host,
            granularity=granularity,
            gate=gate,
            scorer=scorer,
            rngs=rngs,
            **options,
        )

    def block() -> nnx.Module:
        return layers.TransformerBlock(
            width=width, num_heads=4, mlp_width=hidden, rngs=rngs
        )

    def mlp() -> nnx.Module:
        return layers.Mlp.create(width=width, hidden=hidden, rngs=rngs)

    def conv(padding: str) -> nnx.Conv:
        return nnx.Conv(channels, channels, (3, 3), padding=padding, rngs=rngs)

    def experts() -> nnx.Module:
        return layers.Experts(width=width, hidden=hidden // 8, num_experts=8, rngs=rngs)

    def attention() -> nnx.Module:
        return layers.Attention(width=width, num_heads=8, rngs=rngs)

    def embedding() -> nnx.Module:
        return layers.FieldEmbedding(sizes=(values,) * fields, width=width, rngs=rngs)

    make: dict[str, Callable[[], nnx.Module]] = dict(
        tokens=lambda: gated(Chain(block(), block()), width=width, num_tokens=n),
        bypass=lambda: Chain(
            *[gated(block(), width=width, num_tokens=n) for _ in range(2)]
        ),
        blocks=lambda: Chain(*[gated(block(), width=width) for _ in range(2)]),
        exits=lambda: TwoAnswers(
            width,
            gated(
                layers.Stage(
                    Chain(block(), block()), answer(width, rngs), num_classes=10
                )
            ),
            rngs,
        ),
        width=lambda: Chain(gated(mlp(), num_slices=8), skip=True),
        neurons=lambda: Chain(gated(mlp(), num_blocks=8), skip=True),
        experts=lambda: Chain(gated(experts()), skip=True),
        expert_choice=lambda: Chain(gated(experts()), skip=True),
        features=lambda: gated(
            Fields(embedding(), Chain(block(), block())),
            num_codes=fields * values,
            num_fields=fields,
        ),
        heads=lambda: Chain(gated(attention()), gated(attention()), skip=True),
        positions=lambda: gated(
            layers.PaddedOnce(Activated(conv("VALID")), halo=1),
            width=channels,
            tile=tile,
            grid=grid,
        ),
        channels=lambda: Chain(
            gated(
                nnx.Sequential(conv("SAME"), jax.nn.relu, conv("SAME")),
                width=channels,
                num_groups=8,
            ),
            skip=True,
        ),
    )
    shapes = dict(
        positions=(tile * grid[0], tile * grid[1], channels),
        channels=(side, side, channels),
    )

    def draw(key: jax.Array, number: int) -> jax.Array:
        if granularity == "features":
            drawn = jax.random.randint(key, (number, fields), 0, values)
            return drawn + values * jnp.arange(fields)[None]
        return jax.random.normal(key, (number, *shapes.get(granularity, (n, width))))

    return make[granularity](), draw


class Chain(nnx.Module):
    """Layers in a row, with or without a skip connection around each."""

    def __init__(self, *stages, skip=False):
        self.stages = nnx.List(stages)
        self.skip = skip

    def __call__(self, x, *mask):
        """Runs the layers; `mask` says which tokens are open."""
        for stage in self.stages:
            output = stage(x, *mask)
            output = output[0] if isinstance(output, tuple) else output
            x = x + output if self.skip else output
        return x


class Activated(nnx.Module):
    """The branch of a pre-activated residual block."""

    def __init__(self, host):
        self.host = host

    def __call__(self, x):
        """Returns the branch's output."""
        return self.host(jax.nn.relu(x))


def answer(width: int, rngs: nnx.Rngs) -> nnx.Sequential:
    """Average pooling and a linear head."""
    return nnx.Sequential(lambda x: x.mean(1), nnx.Linear(width, 10, rngs=rngs))


class TwoAnswers(nnx.Module):
    """A first answer, and a stage for the examples that need more."""

    def __init__(self, width, rest, rngs):
        self.first = answer(width, rngs)
        self.rest = rest

    def __call__(self, x):
        """Returns the logits of the answer that each example gets."""
        before = layers.Answered(x, self.first(x), jnp.ones(len(x), x.dtype))
        return self.rest(before).logits


class Fields(nnx.Module):
    """Embeds fields and mixes them."""

    def __init__(self, embed, blocks):
        self.embed = embed
        self.blocks = blocks

    def __call__(self, codes, mask=None):
        """Returns the mixed embeddings."""
        return self.blocks(self.embed(codes), mask)


def open_share(network: Any, inputs: Any, density: float):
    """Shifts the scores of each gate so that `density` of the inputs opens it.

    Args:
        network: Network with gates of a varying count, in the order of execution;
            changed in place.
        inputs: Batch whose size is a multiple of 1 / density.
        density: Share of the inputs, in (0, 1].
    """

    def probabilities(name: str):
        graphdef, state = nnx.split(network)
        capture = lambda state: nnx.capture(
            nnx.merge(graphdef, state), gates.GateRecord
        )
        captured = jax.jit(lambda state: capture(state)(inputs)[1])(state)
        return gates.records(captured)[name].open_prob

    for path, layer in nnx.iter_modules(network):
        if isinstance(layer, layers.GatedLayer):
            layer.gate.set_view(deterministic=False)  # where it says how likely, too
            prob = probabilities("/".join(map(str, path)))
            layer.gate.set_view(deterministic=True)
            scores = jnp.sort(jax.scipy.special.logit(prob).ravel())[::-1]
            scores = jnp.append(scores, scores[-1] - 1)
            k = round(density * prob.size)
            middle = (scores[k - 1] + scores[k]) / 2
            if isinstance(layer.scorer, Confidence):
                layer.scorer.threshold[...] -= middle / layer.scorer.sharpness[...]
            else:
                layer.scorer.score.bias[...] -= middle
