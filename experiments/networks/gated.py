"""The networks of wall_clock: one granularity each, and next to nothing else."""

from collections.abc import Callable
from typing import Any

NAMES = (
    "tokens",
    "bypass",
    "blocks",
    "exits",
    "width",
    "neurons",
    "experts",
    "expert_choice",
    "features",
    "heads",
    "positions",
    "channels",
)


def build(
    granularity: str, gate: dict[str, Any], rngs: Any, *, small: bool
) -> tuple[Any, Callable[[Any, int], Any]]:
    """Returns the network, and from a key and a number to as many inputs.

    Args:
        granularity: One of `NAMES`.
        gate: Config of its gates.
        rngs: `nnx.Rngs` with the streams `params` and `gate`.
        small: Whether it is one to test with.
    """
    import jax
    from flax import nnx

    from dynsparse import gates, layers

    width, hidden, n, side = (16, 32, 16, 16) if small else (384, 1536, 64, 16)
    channels = 8 if small else 128
    fields, values = (8, 3) if small else (40, 1000)

    def parts(layer, num_units=1):
        config = dict(name="mlp", hidden=4 if small else 32)
        widths = dict(positions=channels, channels=channels, features=fields * values)
        scorer = layers.make_scorer(
            config,
            layer,
            width=widths.get(granularity, width),
            num_units=num_units,
            rngs=rngs,
        )
        return dict(scorer=scorer, gate=gates.from_config(gate, rngs=rngs))

    def block():
        return layers.TransformerBlock(
            width=width, num_heads=4, mlp_width=hidden, rngs=rngs
        )

    def mlp():
        return layers.Mlp.create(width=width, hidden=hidden, rngs=rngs)

    def conv(padding, features=channels):
        return nnx.Conv(channels, features, (3, 3), padding=padding, rngs=rngs)

    class Chain(nnx.Module):
        """Layers in a row, with or without a skip around each."""

        def __init__(self, *stages, skip=False):
            self.stages = nnx.List(stages)
            self.skip = skip

        def __call__(self, x, *mask):
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
            return self.host(jax.nn.relu(x))

    class Answered(nnx.Module):
        """A first answer, and a stage for those that need more."""

        def __init__(self):
            self.first = Answer()
            self.rest = layers.GatedStage(
                host=Chain(block(), block()),
                exit=Answer(),
                scorer=layers.make_scorer(
                    dict(name="confidence", threshold=0.9, sharpness=10.0),
                    layers.GatedStage,
                    width=10,
                    num_units=1,
                    rngs=rngs,
                ),
                gate=gates.from_config(gate, rngs=rngs),
            )

        def __call__(self, x):
            ones = jax.numpy.ones(len(x), x.dtype)
            return self.rest(x, self.first(x), ones)[1]

    class Answer(nnx.Module):
        def __init__(self):
            self.head = nnx.Linear(width, 10, rngs=rngs)

        def __call__(self, x):
            return self.head(x.mean(1))

    class Fields(nnx.Module):
        """Looks fields up and mixes them."""

        def __init__(self):
            self.embed = layers.FieldEmbedding(
                sizes=(values,) * fields, width=width, rngs=rngs
            )
            self.blocks = Chain(block(), block())

        def __call__(self, codes, mask=None):
            return self.blocks(self.embed(codes), mask)

    def experts(layer):
        host = layers.Experts(width=width, hidden=hidden // 8, num_experts=8, rngs=rngs)
        return Chain(layer(host=host, **parts(layer, 8)), skip=True)

    tokens = dict(num_tokens=n)
    grid = (side // 4, side // 4) if small else (4, 4)
    tile = 4 if small else 8
    make = dict(
        tokens=lambda: layers.GatedTokens(
            host=Chain(block(), block()), **parts(layers.GatedTokens), **tokens
        ),
        bypass=lambda: Chain(
            *[
                layers.BypassedTokens(
                    host=block(), **parts(layers.BypassedTokens), **tokens
                )
                for _ in range(2)
            ]
        ),
        blocks=lambda: Chain(
            *[
                layers.GatedBlock(host=block(), **parts(layers.GatedBlock))
                for _ in range(2)
            ]
        ),
        exits=Answered,
        width=lambda: Chain(
            layers.GatedWidth(
                host=mlp(), num_slices=8, gate=gates.from_config(gate, rngs=rngs)
            ),
            skip=True,
        ),
        neurons=lambda: Chain(
            layers.GatedNeurons(
                host=mlp(), num_blocks=8, **parts(layers.GatedNeurons, 8)
            ),
            skip=True,
        ),
        experts=lambda: experts(layers.GatedExperts),
        expert_choice=lambda: experts(layers.ExpertChoice),
        features=lambda: layers.GatedFeatures(
            host=Fields(), num_fields=fields, **parts(layers.GatedFeatures, fields)
        ),
        heads=lambda: Chain(
            *[
                layers.GatedHeads(
                    host=layers.Attention(width=width, num_heads=8, rngs=rngs),
                    **parts(layers.GatedHeads, 8),
                )
                for _ in range(2)
            ],
            skip=True,
        ),
        positions=lambda: layers.GatedPositions(
            host=Activated(conv("VALID")),
            **parts(layers.GatedPositions),
            tile=tile,
            halo=1,
            grid=grid,
        ),
        channels=lambda: Chain(
            layers.GatedChannels(
                host=layers.ConvPair(first=conv("SAME"), second=conv("SAME")),
                num_groups=8,
                **parts(layers.GatedChannels, 8),
            ),
            skip=True,
        ),
    )
    shape = (n, width)
    if granularity == "positions":
        shape = (tile * grid[0], tile * grid[1], channels)
    elif granularity == "channels":
        shape = (side, side, channels)

    def draw(key, number: int):
        if granularity == "features":
            drawn = jax.random.randint(key, (number, fields), 0, values)
            return drawn + values * jax.numpy.arange(fields)[None]
        return jax.random.normal(key, (number, *shape))

    return make[granularity](), draw


def open_share(network: Any, inputs: Any, density: float):
    """Moves the scores of each gate so that `density` of the inputs opens it.

    Args:
        network: With gates of a varying count, first layer first; changed in place.
        inputs: A multiple of 1 / density of them.
        density: In (0, 1].
    """
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from dynsparse.gates import GateRecord, records
    from dynsparse.layers import GatedLayer
    from dynsparse.layers.scorers.confidence import Confidence

    def probabilities(name: str):
        graphdef, state = nnx.split(network)
        capture = lambda state: nnx.capture(nnx.merge(graphdef, state), GateRecord)
        captured = jax.jit(lambda state: capture(state)(inputs)[1])(state)
        return records(captured)[name].open_prob

    for path, layer in nnx.iter_modules(network):
        if isinstance(layer, GatedLayer):
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
