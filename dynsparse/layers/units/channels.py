"""Gated channels: each example runs some channels between two convolutions."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates import Gate
from dynsparse.layers.units.parts import GatedParts, Rows
from dynsparse.layers.units.slices import Some, slice_size, sliced, sliced_norm

_MAX_CALLS = 64  # examples of a batch that get convolutions of their own


class ConvPair(nnx.Module):
    """Convolution, norm, activation, convolution: the branch of a residual block.

    Args:
        first: Convolution to the channels between; its kernel is [*window, in,
            between].
        second: Convolution from the channels between; neither may have groups.
        norm: A BatchNorm of the channels between, or None. It works on each channel
            alone: a norm over channels would differ where some are not computed.
        activation: Applied to each channel alone.

    Raises:
        ValueError: If a convolution has groups, or the norm is another one.

    Example:
        >>> conv = lambda: nnx.Conv(2, 2, (3, 3), rngs=nnx.Rngs(0))
        >>> pair = layers.ConvPair(first=conv(), second=conv())
        >>> pair(jnp.ones((1, 4, 4, 2))).shape
        (1, 4, 4, 2)
    """

    def __init__(
        self,
        *,
        first: nnx.Conv,
        second: nnx.Conv,
        norm: nnx.Module | None = None,
        activation: Callable = jax.nn.relu,
    ):
        for conv in (first, second):
            if conv.feature_group_count != 1:
                raise ValueError(
                    f"ConvPair takes convolutions without groups, got "
                    f"feature_group_count={conv.feature_group_count}."
                )
        if not isinstance(norm, nnx.BatchNorm | None):
            raise ValueError(
                f"ConvPair takes a BatchNorm or no norm between its convolutions, got "
                f"{type(norm).__name__}: over channels that were not computed it would "
                f"give another answer."
            )
        self.first = first
        self.norm = norm
        self.second = second
        self.activation = activation

    @property
    def width(self) -> int:
        """Channels of the input."""
        return self.first.in_features

    def __call__(
        self,
        x: Float[Array, "batch *space channels"],
        between: Float[Array, "batch between"] | None = None,
    ) -> Float[Array, "batch *out features"]:
        """Runs both convolutions; `between` weighs the channels between them."""
        return self.second(self._between(self.first(x), self.norm, between))

    def _between(self, hidden, norm, weights):
        """Norm and activation of weighed channels."""
        if weights is not None:
            lead, channels = weights.shape
            weights = weights.reshape(lead, *[1] * (hidden.ndim - 2), channels)
            hidden = ops.drop_closed(hidden, weights)
        if norm is not None:
            hidden = norm(hidden).astype(hidden.dtype)
        hidden = self.activation(hidden)
        return hidden if weights is None else ops.weigh(hidden, weights)

    def some(
        self,
        channels: Some,
        x: Float[Array, "batch *space channels"],
        between: Float[Array, "batch some"] | None = None,
    ) -> Float[Array, "batch *out features"]:
        """Computes what some channels between add, without the bias of the output.

        Args:
            channels: The channels between to run.
            x: As in a call.
            between: Weighs these channels; None stands for ones.
        """
        norm = None if self.norm is None else sliced_norm(self.norm, channels)
        hidden = self._between(sliced(self.first, outputs=channels)(x), norm, between)
        return sliced(self.second, inputs=channels)(hidden)


class GatedChannels(GatedParts):
    """Runs the channels between two convolutions that each example opens.

    What the first does not compute the second does not read, so both get cheaper
    (feature boosting and suppression: Gao et al., 2019, arXiv:1810.05331; channel
    gating: Hua et al., 2019, arXiv:1805.12549). The channels are cut into groups of
    equal size, in order.

    Args:
        host: The two convolutions.
        scorer: Maps [batch, *space, channels] to [batch, num_groups].
        gate: Any kind.
        num_groups: Must divide the channels between the convolutions.

    Raises:
        ValueError: If `num_groups` does not divide the channels.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> conv = lambda: nnx.Conv(2, 2, (3, 3), rngs=rngs)
        >>> layer = layers.gated(
        ...     layers.ConvPair(first=conv(), second=conv()),
        ...     granularity="channels",
        ...     gate=dict(name="hard_topk", density=0.5),
        ...     scorer=dict(name="linear"),
        ...     num_groups=2,
        ...     rngs=rngs,
        ... )
        >>> layer(jnp.ones((1, 4, 4, 2))).shape  # by one of two channels between
        (1, 4, 4, 2)
    """

    unit = "group of channels of an example"
    score_axis = "example"

    def __init__(
        self, *, host: ConvPair, scorer: nnx.Module, gate: Gate, num_groups: int
    ):
        channels = host.first.out_features
        self.group = slice_size(channels, "channels", num_groups=num_groups)
        super().__init__(host=host, scorer=scorer, gate=gate, num_units=num_groups)

    def whole(
        self,
        x: Float[Array, "batch *space channels"],
        mask: Float[Array, "batch n"] | None,
        parts: Float[Array, "batch groups"] | None,
    ) -> Float[Array, "batch *out features"]:
        """Computes both convolutions, the channels between weighed group by group."""
        weights = None if parts is None else jnp.repeat(parts, self.group, -1)
        return self.host(x, weights)

    def part(
        self,
        index: int,
        x: Float[Array, "rows *space channels"],
        mask: Float[Array, "rows *tokens"] | None,
    ) -> Float[Array, "rows *out features"]:
        """Computes one group of channels."""
        return self.host.some(slice(index * self.group, (index + 1) * self.group), x)

    def sum_open(
        self,
        rows: Rows,
        parts: Float[Array, "rows groups"],
        start: Float[Array, "rows *out features"],
        sizes: Sequence[int],
    ) -> Float[Array, "rows *out features"]:
        """Adds the open groups: example by example where the count is fixed.

        On a CPU that is faster than group by group: a convolution to few channels
        wastes a CPU, and one over examples with kernels of their own has no fast form
        but one call each.
        """
        count = self.static_count()
        if count is None or len(start) > _MAX_CALLS:
            return super().sum_open(rows, parts, start, sizes)
        if count == 0:
            return start
        groups = ops.open_indices(parts, count)
        within = jnp.arange(self.group, dtype=groups.dtype)
        channels = groups[..., None] * self.group + within[None, None]
        channels = channels.reshape(len(start), count * self.group)
        weights = jnp.take_along_axis(parts, groups, -1)  # 0 for what scores forbid
        weights = jnp.repeat(weights, self.group, -1)
        # Written one after the other: a concatenation is fused with what follows, and
        # each element then looks for its piece.
        added = jnp.zeros_like(start)
        for i in range(len(start)):
            one = slice(i, i + 1)
            some = self.host.some(channels[i], rows[0][one], weights[one])
            added = jax.lax.dynamic_update_slice_in_dim(added, some, i, 0)
        return start + added

    def shared(
        self, x: Float[Array, "batch *space channels"]
    ) -> Float[Array, "batch *out features"]:
        """Computes the bias of the output."""
        zeros = self.nothing(x)
        if self.host.second.bias is None:
            return zeros
        bias = self.host.second.bias[...].astype(zeros.dtype)
        return jnp.broadcast_to(bias, zeros.shape)
