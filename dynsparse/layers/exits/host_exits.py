"""Early exits of any host: an example that leaves skips all blocks that follow."""

from typing import Any

from flax import nnx
from jaxtyping import Array, Float, Shaped

from dynsparse.gates import Gate
from dynsparse.layers.base.arguments import features_of
from dynsparse.layers.rows.blocks import GatedBlock
from dynsparse.layers.trace.rows.examples import Closed


class HostExit(GatedBlock):
    """Runs its host for the examples whose answer so far is not sure enough.

    An example that leaves passes the blocks that follow, and what comes after them
    answers by its features as they are: one head for all exits (CALM: Schuster et al.,
    2022, arXiv:2207.07061; LayerSkip: Elhoushi et al., 2024, arXiv:2404.16710).

    Args:
        host: As in `GatedBlock`.
        scorer: Maps logits, [batch, classes], to [batch, 1].
        gate: As in `GatedBlock`; open means to go on.
        head: Maps features to logits; those of [batch, *axes, classes] are averaged
            over the axes, as pooling in front of a linear head would do.
        closed: As in `GatedBlock`.

    Example:
        >>> class Net(nnx.Module):
        ...     def __init__(self, rngs):
        ...         linear = lambda outs: nnx.Linear(4, outs, rngs=rngs)
        ...         self.stages = nnx.List([linear(4) for _ in range(3)])
        ...         self.head = linear(2)
        ...
        ...     def __call__(self, x):
        ...         for stage in self.stages:
        ...             x = x + jax.nn.relu(stage(x))
        ...         return self.head(x)
        >>> rule = dict(granularity="exits", head="head")
        >>> rule |= dict(gate=dict(name="gumbel_sigmoid", temperature=1.0))
        >>> rule |= dict(scorer=dict(name="confidence", threshold=0.9, sharpness=9.0))
        >>> model = layers.sparsify(
        ...     Net(nnx.Rngs(0)),
        ...     {"stages/[12]": rule},
        ...     jnp.ones((2, 4)),
        ...     rngs=nnx.Rngs(0, gate=1),
        ... )
        >>> type(model.stages[2]).__name__, model(jnp.ones((2, 4))).shape
        ('HostExit', (2, 2))
    """

    unit = "rest of the network after an answer"
    score_axis = "answer"
    falls = True

    def __init__(
        self,
        *,
        host: nnx.Module,
        scorer: nnx.Module,
        gate: Gate,
        head: nnx.Module,
        closed: Closed | None = None,
    ):
        super().__init__(host=host, scorer=scorer, gate=gate, closed=closed)
        self.head: Any = head

    def features(self, args: Any, kwargs: Any) -> Shaped[Array, "batch *axes"]:
        """Returns the features that the answer is about."""
        return features_of(args, kwargs)

    def score(self, features: Shaped[Array, "batch *axes"]) -> Float[Array, "..."]:
        """Scores the answer that the head gives by the features."""
        return super().score(answer(self.head, features))


def answer(
    head: Any, features: Shaped[Array, "batch *axes"]
) -> Float[Array, "batch classes"]:
    """Returns the logits of a head, averaged over all axes between.

    Args:
        head: Maps features to logits.
        features: Of each example.
    """
    logits = head(features)
    return logits.mean(tuple(range(1, logits.ndim - 1)))
