"""Counters of gates: what is kept of the decisions of a split, added up by batch.

The masks themselves stay on the device, for one batch at a time: of a large split and
many units they would fill the memory.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dynsparse.gates import GateOutput

NUM_BINS = 30  # of the histogram of `open_prob`


@dataclasses.dataclass(frozen=True)
class Counters:
    """Decisions of one gate over a split, or over a batch.

    Attributes:
        opened: Number of open units of each example.
        open_prob: Mean `open_prob` of each example over its units.
        rate: Sum over the examples of the `open_prob` of each unit.
        entropy: Sum over the examples of the entropy of each unit, in bits.
        least: Least `open_prob` of each unit.
        most: Largest `open_prob` of each unit.
        histogram: Number of values of `open_prob` in each of `NUM_BINS` bins of [0, 1].
        count: Number of examples, as far as they count.
    """

    opened: Int[np.ndarray, "n"]
    open_prob: Float[np.ndarray, "n"]
    rate: Float[np.ndarray, "units"]
    entropy: Float[np.ndarray, "units"]
    least: Float[np.ndarray, "units"]
    most: Float[np.ndarray, "units"]
    histogram: Float[np.ndarray, "bins"]
    count: float

    @property
    def num_units(self) -> int:
        """Number of units of an example, over all its rows."""
        return len(self.rate)

    @property
    def density(self) -> float:
        """Mean share of open units."""
        return float(self.opened.mean() / self.num_units)

    @classmethod
    def join(cls, parts: Sequence["Counters"], num_examples: int) -> "Counters":
        """Returns the counters of a split from those of its batches.

        Args:
            parts: Of the batches, in order.
            num_examples: Examples of the split; what follows them is padding.
        """
        whole = lambda name: np.stack([getattr(part, name) for part in parts])
        long = lambda name: np.concatenate([getattr(part, name) for part in parts])
        return cls(
            opened=long("opened")[:num_examples],
            open_prob=long("open_prob")[:num_examples],
            rate=whole("rate").sum(0),
            entropy=whole("entropy").sum(0),
            least=whole("least").min(0),
            most=whole("most").max(0),
            histogram=whole("histogram").sum(0),
            count=float(whole("count").sum()),
        )

    @classmethod
    def from_arrays(cls, **arrays: np.ndarray) -> "Counters":
        """Returns counters of what `count` gave, sums in float64."""
        exact: dict[str, Any] = {name: np.asarray(x) for name, x in arrays.items()}
        for name in ("rate", "entropy", "histogram"):
            exact[name] = exact[name].astype(np.float64)
        exact["count"] = float(exact["count"])
        return cls(**exact)


def count(decision: GateOutput, weight: Float[Array, "batch"]) -> dict[str, Array]:
    """Returns the fields of `Counters` for a batch; pure.

    Args:
        decision: Of one gate, each [batch, *rows, units].
        weight: Of the examples; padding of weight 0 repeats other examples.
    """
    batch = len(weight)
    flat = lambda x: x.reshape(len(x), -1).astype(jnp.float32)
    mask, prob = (  # one decision may be that of all examples
        jnp.broadcast_to(x, (batch, x.shape[1])) for x in map(flat, decision)
    )
    bins = jnp.clip((prob * NUM_BINS).astype(jnp.int32), 0, NUM_BINS - 1)
    each = jnp.broadcast_to(weight[:, None], bins.shape)
    return dict(
        opened=(mask > 0).sum(1),
        open_prob=prob.mean(1),
        rate=weight @ prob,
        entropy=weight @ _entropy(prob),
        least=prob.min(0),
        most=prob.max(0),
        histogram=jnp.zeros(NUM_BINS).at[bins].add(each),
        count=weight.sum(),
    )


def _entropy(p: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    inside = jnp.where((p > 0) & (p < 1), p, 0.5)
    bits = -(inside * jnp.log2(inside) + (1 - inside) * jnp.log2(1 - inside))
    return jnp.where((p > 0) & (p < 1), bits, 0.0)
