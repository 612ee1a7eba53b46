"""Gated layers for the units of any host; `trace/units` finds the axis."""

import math
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from dynsparse import ops
from dynsparse.gates import Gate
from dynsparse.layers.base.arguments import features_of
from dynsparse.layers.base.gated_layer import GatedLayer
from dynsparse.layers.trace.program.host_call import HostCall
from dynsparse.layers.trace.rows.rows import Rows
from dynsparse.layers.trace.units.find_units import Kind, find_units
from dynsparse.layers.trace.units.run_units import UnitsOfCall
from dynsparse.layers.units.width import NestedScorer


class HostUnits(GatedLayer):
    """Runs the units that each row opens of a host that is left as it is.

    The units are an axis over which a product of the host sums; its trace says which
    axes of which parameters belong to them. Masked execution weighs what that product
    reads. Compact execution runs what comes before the units once, the units block by
    block on the rows that open them, and what follows once.

    Args:
        host: Any module, called with features, [*rows, width], and whatever else.
        scorer: Maps the features to scores, one for each block.
        gate: Any kind.
        num_units: Blocks of units, of equal size, in order.
        units: Path of the parameter that reads the units, such as "down_proj/kernel";
            None for that of the last product that will do.

    Example:
        >>> issubclass(layers.HostNeurons, layers.HostUnits)
        True
    """

    kinds = ("fixed", "varying", "full")
    capacity_steps = 16  # of each block
    equal_units = True
    sought: ClassVar[Kind] = "any"

    def __init__(
        self,
        *,
        host: nnx.Module,
        scorer: nnx.Module,
        gate: Gate,
        num_units: int,
        units: str | None = None,
    ):
        super().__init__(host=host, scorer=scorer, gate=gate, num_units=num_units)
        self.units = units

    def found(self, *args: Any, **kwargs: Any) -> UnitsOfCall:
        """Finds the units in one call of the host.

        Args:
            *args: Positional arguments of the host.
            **kwargs: Its keyword arguments.

        Raises:
            ValueError: If they cannot be taken apart, or `num_units` does not divide
                them.
        """
        call = HostCall(self.host, args, kwargs)
        stream = call.trace.stream
        axes = len(stream.shape) - 1 if self.score_axis == "rows" else 1
        found = self.find(call, Rows.leading(call.trace.axes, stream, axes))
        found.check_rows()
        return found

    def find(self, call: HostCall, rows: Rows) -> UnitsOfCall:
        """Finds the units in a call, in the rows that decide about them.

        Args:
            call: The call.
            rows: The rows.

        Raises:
            ValueError: As in `found`.
        """
        units = find_units(call.trace, self.units, self.sought)
        if units.num_units % self.num_units:
            raise ValueError(
                f"{self.num_units} blocks must divide the {units.num_units} units that "
                f"{units.reader} reads."
            )
        return UnitsOfCall(call, units, rows)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Returns what the host gives by its open units."""
        features = features_of(args, kwargs)
        rows = features.shape[: -1 if self.score_axis == "rows" else 1]
        pairs = self.num_units * math.prod(rows)
        if self.opens_all(self.num_units if self.forced_count is None else pairs):
            self.decide_all(features)
            return self.host(*args, **kwargs)
        found = self.found(*args, **kwargs)
        decision = self.decide(features, **self.beside(found, features))
        weights = decision.mask.reshape(-1, self.num_units)
        if self.execution == "masked":
            block = found.units.num_units // self.num_units
            return found.weighed(jnp.repeat(weights, block, -1))
        return self.compact(found, weights)

    def beside(self, found: Any, features: Array) -> dict[str, Array]:
        """Returns what the decision reads of a call beside its features: nothing.

        Args:
            found: The units of the call.
            features: What the decision is about.
        """
        return {}

    def compact(self, found: UnitsOfCall, weights: Array) -> Any:
        """Runs the open blocks of each row.

        Args:
            found: The units of the call.
            weights: The decision, one row for each row.
        """
        sizes = ops.capacities(found.rows.count, self.capacity_steps)

        def add(rows: Any, part: Any, start: Array, blocks: range) -> Array:
            if self.forced_count is None:
                some = weights[:, blocks.start : blocks.stop]
                return ops.sum_of_parts(rows, some, part, start, sizes)
            left = max(self.forced_count - blocks.start * len(start), 0)
            return ops.first_pairs(rows, part, start, len(blocks), left)

        return found.parts(self.num_units, add)


class HostNeurons(HostUnits):
    """Runs the blocks of hidden units that each token opens, in any host.

    MoEfication (Zhang et al., 2022, arXiv:2110.01786) for gated MLPs, MLPs inside of a
    block and adapters alike. Arguments as in `HostUnits`; `num_blocks` are its units.

    Args:
        num_blocks: Must divide the hidden units.

    Example:
        >>> rngs, x = nnx.Rngs(0, gate=1), jnp.ones((2, 3, 4))
        >>> up, down = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 4, rngs=rngs)
        >>> rule = dict(granularity="neurons", num_blocks=4)
        >>> rule |= dict(gate=dict(name="hard_topk", density=0.5))
        >>> rule |= dict(scorer=dict(name="linear"))
        >>> model = nnx.Sequential(up, jax.nn.relu, down)
        >>> layer = layers.sparsify(model, {"": rule}, x, rngs=rngs)
        >>> type(layer).__name__, layer(x).shape  # by two blocks of four
        ('HostNeurons', (2, 3, 4))
    """

    unit = "block of hidden units of a token"
    score_axis = "rows"

    def __init__(
        self,
        *,
        host: nnx.Module,
        scorer: nnx.Module,
        gate: Gate,
        num_blocks: int,
        units: str | None = None,
    ):
        super().__init__(
            host=host, scorer=scorer, gate=gate, num_units=num_blocks, units=units
        )


class HostHeads(HostUnits):
    """Runs the heads that each example opens, in any attention.

    Where heads share keys and values, a unit is the group that shares them.
    Arguments as in `HostUnits`; `num_heads` are its units.

    Args:
        num_heads: Number of heads, or of groups.

    Example:
        >>> rngs, x = nnx.Rngs(0, gate=1), jnp.ones((2, 3, 8))
        >>> attention = nnx.MultiHeadAttention(4, 8, decode=False, rngs=rngs)
        >>> rule = dict(granularity="heads", scorer=dict(name="linear"))
        >>> rule |= dict(gate=dict(name="hard_topk", density=0.5))
        >>> layer = layers.sparsify(attention, {"": rule}, x, rngs=rngs)
        >>> type(layer).__name__, layer.num_units, layer(x).shape
        ('HostHeads', 4, (2, 3, 8))
    """

    unit = "attention head of an example"
    score_axis = "example"
    sought = "split"

    def __init__(
        self,
        *,
        host: nnx.Module,
        scorer: nnx.Module,
        gate: Gate,
        num_heads: int,
        units: str | None = None,
    ):
        super().__init__(
            host=host, scorer=scorer, gate=gate, num_units=num_heads, units=units
        )


class HostChannels(HostUnits):
    """Runs the groups of channels that each example opens, in any host.

    The channels are those that a convolution reads, norms and depthwise convolutions
    before it included. Arguments as in `HostUnits`; `num_groups` are its units.

    Args:
        num_groups: Must divide the channels.

    Example:
        >>> rngs, x = nnx.Rngs(0, gate=1), jnp.ones((2, 4, 4, 3))
        >>> conv = lambda ins, outs: nnx.Conv(ins, outs, (3, 3), rngs=rngs)
        >>> rule = dict(granularity="channels", num_groups=2)
        >>> rule |= dict(gate=dict(name="hard_topk", density=0.5))
        >>> rule |= dict(scorer=dict(name="linear"))
        >>> model = nnx.Sequential(conv(3, 4), jax.nn.relu, conv(4, 3))
        >>> layer = layers.sparsify(model, {"": rule}, x, rngs=rngs)
        >>> type(layer).__name__, layer(x).shape
        ('HostChannels', (2, 4, 4, 3))
    """

    unit = "group of channels of an example"
    score_axis = "example"
    sought = "channels"

    def __init__(
        self,
        *,
        host: nnx.Module,
        scorer: nnx.Module,
        gate: Gate,
        num_groups: int,
        units: str | None = None,
    ):
        super().__init__(
            host=host, scorer=scorer, gate=gate, num_units=num_groups, units=units
        )


class HostWidth(HostUnits):
    """Runs the first slices of a host's units: widths that are nested.

    One width for all examples, which the density sets (Yu et al., 2019,
    arXiv:1812.08928; Devvrit et al., 2023, arXiv:2310.07707). Arguments as in
    `HostUnits`; `num_slices` are its units.

    Args:
        num_slices: Must divide the units.

    Raises:
        ValueError: If the gate is random or not of a fixed count.

    Example:
        >>> rngs, x = nnx.Rngs(0, gate=1), jnp.ones((2, 3, 4))
        >>> up, down = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 4, rngs=rngs)
        >>> rule = dict(granularity="width", num_slices=4)
        >>> rule |= dict(gate=dict(name="hard_topk", density=0.5))
        >>> model = nnx.Sequential(up, jax.nn.relu, down)
        >>> layer = layers.sparsify(model, {"": rule}, x, rngs=rngs)
        >>> type(layer).__name__, layer(x).shape
        ('HostWidth', (2, 3, 4))
    """

    unit = "slice of hidden units"
    kinds = ("fixed", "full")
    score_axis = "example"

    def __init__(
        self, *, host: nnx.Module, gate: Gate, num_slices: int, units: str | None = None
    ):
        if gate.random:
            raise ValueError(
                f"HostWidth opens the first slices, which {type(gate).__name__}, a "
                f"random gate, does not."
            )
        scorer = NestedScorer(num_units=num_slices)
        super().__init__(
            host=host, scorer=scorer, gate=gate, num_units=num_slices, units=units
        )

    def compact(self, found: UnitsOfCall, weights: Array) -> Any:
        """Runs the first slices, the same for all examples."""
        count = self.static_count()
        block = found.units.num_units // self.num_units
        if count is None:
            return found.weighed(jnp.repeat(weights, block, -1))
        return found.first(count * block)
