"""The granularities: a row for each kind of unit that a rule of `sparsify` can gate."""

import inspect
from typing import Literal, NamedTuple

from flax import nnx

from dynsparse.layers.attention import Attention
from dynsparse.layers.base import GatedLayer
from dynsparse.layers.blocks import GatedBlock
from dynsparse.layers.bypass import BypassedTokens
from dynsparse.layers.channels import ConvPair, GatedChannels
from dynsparse.layers.expert_choice import ExpertChoice
from dynsparse.layers.experts import Experts, GatedExperts
from dynsparse.layers.features import GatedFeatures
from dynsparse.layers.heads import GatedHeads
from dynsparse.layers.mlp import Mlp
from dynsparse.layers.neurons import GatedNeurons
from dynsparse.layers.positions import GatedPositions
from dynsparse.layers.tokens import GatedTokens
from dynsparse.layers.width import GatedWidth

NUM_PARTS = 8  # blocks of neurons, experts, slices of the width in `gated_stack`


class Granularity(NamedTuple):
    """A kind of unit, and how a rule gates it.

    Attributes:
        layer: The gated layer.
        host: Class that the layer takes apart; None where it calls its host as it is.
        place: What `gated_stack` gates: the whole stack, each block, or its attention
            or MLP; None where it gates nothing.
    """

    layer: type[GatedLayer]
    host: type[nnx.Module] | None = None
    place: Literal["stack", "block", "attention", "mlp"] | None = None

    @property
    def width(self) -> str | None:
        """Option that tells the features of the input; None where the host does."""
        if self.host is not None:
            return None
        return "num_codes" if self.layer.score_axis == "fields" else "width"

    @property
    def scored(self) -> bool:
        """Whether the layer takes a scorer."""
        return "scorer" in inspect.signature(self.layer.__init__).parameters

    @property
    def options(self) -> dict[str, bool]:
        """Options of a rule, beside names of parts, and whether each is needed."""
        constructor = inspect.signature(self.layer.__init__).parameters
        own = {} if self.width is None else {self.width: True}
        return own | {
            name: option.default is inspect.Parameter.empty
            for name, option in constructor.items()
            if name not in ("self", "host", "gate", "scorer")
        }


GRANULARITIES: dict[str, Granularity] = dict(
    tokens=Granularity(GatedTokens, place="stack"),
    bypass=Granularity(BypassedTokens, place="block"),
    blocks=Granularity(GatedBlock, place="block"),
    heads=Granularity(GatedHeads, Attention, place="attention"),
    neurons=Granularity(GatedNeurons, Mlp, place="mlp"),
    experts=Granularity(GatedExperts, Experts, place="mlp"),
    width=Granularity(GatedWidth, Mlp, place="mlp"),
    expert_choice=Granularity(ExpertChoice, Experts),
    features=Granularity(GatedFeatures),
    channels=Granularity(GatedChannels, ConvPair),
    positions=Granularity(GatedPositions),
)
STACKED = tuple(name for name, row in GRANULARITIES.items() if row.place is not None)
