"""Gated blocks: an example skips a residual block, or runs it."""

from flax import nnx
from jaxtyping import Array, Float

from dynsparse.gates import Gate
from dynsparse.layers.open_examples import OpenExamples


class GatedBlock(OpenExamples):
    """Runs its host for the examples whose gate is open; the others pass unchanged.

    One gate per block, scored from the block's own input (SkipNet: Wang et al., 2017,
    arXiv:1711.09485; ConvNet-AIG: Veit and Belongie, 2017, arXiv:1711.11503).

    Args:
        host: Maps [batch, *axes, width] to the same shape, its own skip included.
        scorer: Maps [batch, *axes, width] to [batch, 1].
        gate: A gate whose count varies, or the dense gate.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> block = layers.TransformerBlock(
        ...     width=4, num_heads=2, mlp_width=8, rngs=rngs
        ... )
        >>> layer = layers.gated(
        ...     block,
        ...     granularity="blocks",
        ...     gate=dict(name="gumbel_sigmoid", temperature=1.0),
        ...     scorer=dict(name="linear"),
        ...     width=4,
        ...     rngs=rngs,
        ... )
        >>> layer(jnp.ones((2, 3, 4))).shape
        (2, 3, 4)
    """

    unit = "residual block of an example"
    score_axis = "example"

    def __init__(self, *, host: nnx.Module, scorer: nnx.Module, gate: Gate):
        super().__init__(host=host, scorer=scorer, gate=gate, num_units=1)

    def __call__(
        self, x: Float[Array, "batch *axes width"]
    ) -> Float[Array, "batch *axes width"]:
        """Returns the host's output where the gate is open, `x` elsewhere."""
        if self.opens_all():
            self.decide_all(x)
            return self.host(x)
        return self.run(x, x, self.decide(x).mask[:, 0])
