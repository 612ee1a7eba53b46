"""Parts of hosts that mix tokens otherwise than by attention, and parts of images."""

import jax
import jax.numpy as jnp
from flax import nnx

from tests.layers.generated.maps import HandNorm, Part, activation, linear

WIDTH, HIDDEN = 8, 16


class Recurrent(Part):
    """A gated linear recurrence."""

    kinds = ("width", "channels")
    attends = False
    units, reader = HIDDEN, "down/kernel"

    def __init__(self, draw, rngs):
        self.up = linear(draw, WIDTH, 2 * HIDDEN, rngs, "up")
        self.down = linear(draw, HIDDEN, WIDTH, rngs, "down")
        self.decay = nnx.Param(jnp.linspace(0.5, 0.9, HIDDEN))
        self.way = draw.one("recurrence", "scan", "associative", "unrolled")

    def __call__(self, x, **others):
        u, z = jnp.split(self.up(x), 2, -1)
        decay = self.decay[...][None].astype(u.dtype)
        if self.way == "scan":
            turn = lambda s, v: ((s := s * decay + v), s)
            start = jnp.zeros((len(x), HIDDEN), u.dtype)
            y = jax.lax.scan(turn, start, u.swapaxes(0, 1))[1].swapaxes(0, 1)
        elif self.way == "associative":
            join = lambda a, b: (a[0] * b[0], a[1] * b[0] + b[1])
            along = jnp.broadcast_to(decay[:, None], u.shape)
            y = jax.lax.associative_scan(join, (along, u), axis=1)[1]
        else:
            state, rows = jnp.zeros((len(x), HIDDEN), u.dtype), []
            for i in range(x.shape[1]):
                state = state * decay + u[:, i]
                rows.append(state)
            y = jnp.stack(rows, 1)
        return self.down(self.weighed(y * jax.nn.silu(z), 2))


class Convolved(Part):
    """A gated linear unit and a depthwise convolution over tokens."""

    kinds = ("width", "channels")
    attends = False
    units, reader = HIDDEN, "down/kernel"

    def __init__(self, draw, rngs):
        self.up = linear(draw, WIDTH, 2 * HIDDEN, rngs, "up")
        self.down = linear(draw, HIDDEN, WIDTH, rngs, "down")
        self.pads = draw.one("padding", "SAME", "CAUSAL", "by hand")
        self.conv = nnx.Conv(
            HIDDEN,
            HIDDEN,
            (3,),
            padding="VALID" if self.pads == "by hand" else self.pads,
            feature_group_count=HIDDEN,
            rngs=rngs,
        )
        self.norm = nnx.BatchNorm(HIDDEN, use_running_average=True, rngs=rngs)
        self.act = activation(draw)

    def __call__(self, x, **others):
        y = jax.nn.glu(self.up(x))
        if self.pads == "by hand":
            y = jnp.pad(y, ((0, 0), (2, 0), (0, 0)))
        return self.down(self.weighed(self.act(self.norm(self.conv(y))), 2))


class Mixer(Part):
    """A perceptron over tokens."""

    kinds = ("width", "channels")
    attends = False
    units, reader = HIDDEN, "down/kernel"

    def __init__(self, draw, rngs):
        self.up = linear(draw, 5, HIDDEN, rngs, "up")
        self.down = linear(draw, HIDDEN, 5, rngs, "down")
        self.act = activation(draw)
        self.turned = draw.one("turned", "swapaxes", "moveaxis", "einsum")

    def __call__(self, x, **others):
        turn = dict(
            swapaxes=lambda y: y.swapaxes(1, 2),
            moveaxis=lambda y: jnp.moveaxis(y, 1, -1),
            einsum=lambda y: jnp.einsum("bnd->bdn", y),
        )[self.turned]
        return turn(self.down(self.weighed(self.act(self.up(turn(x))), 2)))


class Convolutions(Part):
    """Convolutions around hidden channels, and what stands between."""

    kinds = ("channels", "width")
    attends = False
    reader = "last/kernel"

    def __init__(self, draw, rngs):
        self.way = draw.one("between", "none", "none", "depthwise", "middle", "split")
        self.normed = draw.one("norms", "none", "batch", "batch", "group", "layer")
        self.pool = draw.one("pool", "no", "no", "max", "mean", "resize", "stride")
        self.excites = draw.one("excite", "no", "no", "no", "yes")
        self.last_is = draw.one("last", "conv", "conv", "pixel", "linear", "flipped")
        if self.normed != "layer" or self.way == "middle":  # a norm of other channels
            self.units = HIDDEN
        if self.excites == "yes":
            self.kinds = ("width",)
        bias = draw.one("bias", True, False)
        conv = lambda i, o, k, g=1: nnx.Conv(
            i, o, (k, k), feature_group_count=g, use_bias=bias, rngs=rngs
        )
        self.first = conv(WIDTH, HIDDEN * (1 + (self.way == "split")), 3)
        if self.way == "depthwise":
            self.between = conv(HIDDEN, HIDDEN, 3, HIDDEN)
        if self.way == "middle":
            self.between = conv(HIDDEN, HIDDEN, 3)
        make = dict(
            none=lambda: lambda y: y,
            batch=lambda: nnx.BatchNorm(HIDDEN, use_running_average=True, rngs=rngs),
            group=lambda: nnx.GroupNorm(HIDDEN, num_groups=4, rngs=rngs),
            layer=lambda: HandNorm(HIDDEN, "centred", rngs),
        )[self.normed]
        self.norm, self.act = make(), activation(draw)
        self.less, self.more = (
            nnx.Linear(HIDDEN, 4, rngs=rngs),
            nnx.Linear(4, HIDDEN, rngs=rngs),
        )
        if self.last_is == "linear":
            self.last = nnx.Linear(HIDDEN, WIDTH, rngs=rngs)
        elif self.last_is != "flipped":
            self.last = conv(HIDDEN, WIDTH, 1 if self.last_is == "pixel" else 3)
        else:
            self.reader = "kernel"
            self.kernel = nnx.Param(0.2 * rngs.params.normal((WIDTH, HIDDEN, 3, 3)))

    def __call__(self, x, **others):
        y = self.first(x)
        if self.way == "split":
            y, side = jnp.split(y, 2, -1)
            y = y * jax.nn.sigmoid(side)
        y = self.act(self.norm(y))
        if self.way in ("depthwise", "middle"):
            y = self.act(self.between(y))
        if self.excites == "yes":
            z = self.more(jax.nn.relu(self.less(self.weighed(y, 3).mean((1, 2)))))
            y = y * jax.nn.sigmoid(z)[:, None, None]
        y = self.weighed(self.pooled(y), 3)
        if self.last_is != "flipped":
            return self.last(y)
        flipped = jax.lax.conv_general_dilated(
            y.transpose(0, 3, 1, 2), self.kernel[...], (1, 1), "SAME"
        )
        return jnp.moveaxis(flipped, 1, -1)

    def pooled(self, y):
        """Pools and enlarges again, so that the shape stays."""
        b, h, w, c = y.shape
        if self.pool == "max":
            y = nnx.max_pool(y, (2, 2), (2, 2))
        elif self.pool == "mean":
            y = nnx.avg_pool(y, (3, 3), (1, 1), "SAME")
        elif self.pool == "stride":
            y = y[:, ::2, ::2]
        if self.pool == "resize":
            small = nnx.avg_pool(y, (2, 2), (2, 2))
            return jax.image.resize(small, y.shape, "nearest")
        if y.shape == (b, h, w, c):
            return y
        return jnp.repeat(jnp.repeat(y, 2, 1), 2, 2)
