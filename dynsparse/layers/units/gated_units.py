"""What gated neurons, heads, channels and widths share; `trace/units` finds them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates import Gate
from dynsparse.layers.base.arguments import features_of, open_tokens
from dynsparse.layers.base.gated_layer import GatedLayer
from dynsparse.layers.trace.program.host_call import HostCall
from dynsparse.layers.trace.rows.rows import Rows
from dynsparse.layers.trace.units.find_units import Kind, find_units
from dynsparse.layers.trace.units.run_units import UnitsOfCall


class GatedUnits(GatedLayer):
    """Runs the units that each row opens of a host that is left as it is.

    The units are an axis over which a product of the host sums; its trace says which
    axes of which parameters belong to them. Masked execution weighs what that product
    reads. Compact execution runs what comes before the units once, the units block by
    block on the rows that open them, and what follows once.

    Attributes:
        sought: What the units are, as in `find_units`.
        option: What a rule calls the number of blocks.

    Args:
        host: Any module, called with features, [*rows, width], and whatever else.
        scorer: Maps the features to scores, one for each block.
        gate: Any kind.
        num_units: Blocks of units, of equal size, in order.
        units: Path of the parameter that reads the units, such as "down_proj/kernel";
            None for that of the last product that will do.

    Example:
        >>> issubclass(layers.GatedNeurons, layers.GatedUnits)
        True
    """

    kinds = ("fixed", "varying", "full")
    capacity_steps = 16  # of each block
    equal_units = True
    sought: ClassVar[Kind] = "any"
    option: ClassVar[str] = "num_units"

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

    def _find(self, call: HostCall, rows: Rows) -> UnitsOfCall:
        """Finds the units in a call, in the rows that decide about them."""
        units = find_units(call.trace, self.units, self.sought)
        if units.num_units % self.num_units:
            raise ValueError(
                f"{self.option}={self.num_units} must divide the {units.num_units} "
                f"units that {units.reader} reads."
            )
        return UnitsOfCall(call, units, rows)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Returns what the host gives by its open units.

        A host whose second argument is the mask of the tokens that are open in a layer
        around says so by `takes_mask`: the others run nothing.
        """
        features, mask = features_of(args, kwargs), open_tokens(self.host, args, kwargs)
        by_row = self.score_axis == "rows"
        deciding = mask if by_row else None
        pairs = self.num_units * math.prod(features.shape[: -1 if by_row else 1])
        if self.opens_all(self.num_units if self.forced_count is None else pairs):
            self.decide_all(features, deciding)
            return self.host(*args, **kwargs)
        found = units_of(self, args, kwargs)
        beside = self._beside(found, features)
        decision = self.decide(self.reads(features, mask), deciding, **beside)
        weights = decision.mask.reshape(found.rows.count, self.num_units)
        if self.execution == "masked" or 0 in features.shape:
            block = found.units.num_units // self.num_units
            return found.weighed(jnp.repeat(weights, block, -1))
        return self._compact(found, weights)

    def reads(
        self, features: Float[Array, "*rows width"], mask: Float[Array, "*rows"] | None
    ) -> Float[Array, "*rows width"]:
        """Returns what the scorer reads of the features.

        Where an example decides these are tokens weighed so that their mean is that of
        the open ones alone.

        Args:
            features: Features of the call.
            mask: Tokens that are open in a layer around this one; None for all.
        """
        if mask is None or self.score_axis == "rows":
            return features
        weight = mask / ops.divisor(mask.mean(-1, keepdims=True))
        return ops.weigh(features, weight[..., None])

    def _beside(self, found: Any, features: Array) -> dict[str, Array]:
        """What the decision reads of a call beside its features."""
        return {}

    def _compact(self, found: UnitsOfCall, weights: Array) -> Any:
        """Runs the open blocks of each row."""
        sizes = ops.capacities(found.rows.count, self.capacity_steps)

        def add(rows: Any, part: Any, start: Array, blocks: range) -> Array:
            if self.forced_count is None:
                some = weights[:, blocks.start : blocks.stop]
                return ops.sum_of_parts(rows, some, part, start, sizes)
            left = max(self.forced_count - blocks.start * len(start), 0)
            return ops.first_pairs(rows, part, start, len(blocks), left)

        return found.parts(self.num_units, add)


def units_of(
    layer: GatedUnits, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> UnitsOfCall:
    """Finds the units in one call of the host of a layer.

    Args:
        layer: The layer.
        args: Positional arguments of the host.
        kwargs: Its keyword arguments.

    Raises:
        ValueError: If they cannot be taken apart, or the layer's number of blocks does
            not divide them.
    """
    call = HostCall(layer.host, args, kwargs)
    axes, stream = call.trace.axes, call.trace.stream
    count = len(stream.shape) - 1 if layer.score_axis == "rows" else 1
    found = layer._find(call, Rows.leading(axes, stream, count, call.resized))
    found.check_rows()
    return found
