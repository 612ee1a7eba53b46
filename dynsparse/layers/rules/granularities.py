"""The granularities: a row for each kind of unit that a rule of `sparsify` can gate."""

import inspect
from typing import NamedTuple

from flax import nnx

from dynsparse.layers.base.gated_layer import GatedLayer
from dynsparse.layers.exits.host_exits import HostExit
from dynsparse.layers.exits.stages import GatedStage, Stage
from dynsparse.layers.rows.blocks import GatedBlock
from dynsparse.layers.rows.bypass import BypassedTokens
from dynsparse.layers.rows.fields import GatedFeatures
from dynsparse.layers.rows.host_tokens import HostTokens
from dynsparse.layers.rows.positions import GatedPositions, PaddedOnce
from dynsparse.layers.rows.tokens import GatedTokens
from dynsparse.layers.units.channels import GatedChannels
from dynsparse.layers.units.expert_choice import ExpertChoice
from dynsparse.layers.units.experts import Experts, GatedExperts
from dynsparse.layers.units.heads import GatedHeads
from dynsparse.layers.units.host_experts import HostExperts
from dynsparse.layers.units.neurons import GatedNeurons
from dynsparse.layers.units.width import GatedWidth


class Granularity(NamedTuple):
    """A kind of unit, and how a rule gates it.

    Attributes:
        layer: The gated layer.
        host: Class that the layer takes apart; None where it calls its host as it is.
        anywhere: Gated layer for hosts of any other class; None where there is none.
    """

    layer: type[GatedLayer]
    host: type[nnx.Module] | None = None
    anywhere: type[GatedLayer] | None = None

    def layer_of(self, host: nnx.Module) -> type[GatedLayer]:
        """Returns the gated layer for a host.

        Raises:
            ValueError: If there is none.
        """
        if self.host is None and self.anywhere is not None:
            own = getattr(host, "masks_tokens", False)
        else:
            own = self.host is None or isinstance(host, self.host)
        if own:
            return self.layer
        if self.anywhere is None and self.host is not None:
            raise ValueError(
                f"{self.layer.__name__} needs layers.{self.host.__name__}, got "
                f"{type(host).__name__}."
            )
        return self.anywhere or self.layer

    @property
    def width(self) -> str:
        """The option that tells the features of the input, or the number of codes."""
        return "num_codes" if self.layer.score_axis == "fields" else "width"


def options_of(layer: type[GatedLayer]) -> dict[str, bool]:
    """Returns the options of a gated layer, and whether each is needed.

    Args:
        layer: Its constructor takes them beside host, scorer and gate.
    """
    constructor = inspect.signature(layer.__init__).parameters
    return {
        name: option.default is inspect.Parameter.empty
        for name, option in constructor.items()
        if name not in ("self", "host", "gate", "scorer")
    }


def takes_scorer(layer: type[GatedLayer]) -> bool | None:
    """Whether a gated layer needs a scorer; None where it takes none."""
    scorer = inspect.signature(layer.__init__).parameters.get("scorer")
    return None if scorer is None else scorer.default is inspect.Parameter.empty


GRANULARITIES: dict[str, Granularity] = dict(
    tokens=Granularity(GatedTokens),
    bypass=Granularity(BypassedTokens, anywhere=HostTokens),
    blocks=Granularity(GatedBlock),
    heads=Granularity(GatedHeads),
    neurons=Granularity(GatedNeurons),
    experts=Granularity(GatedExperts, Experts, HostExperts),
    width=Granularity(GatedWidth),
    expert_choice=Granularity(ExpertChoice, Experts),
    features=Granularity(GatedFeatures),
    channels=Granularity(GatedChannels),
    positions=Granularity(GatedPositions, PaddedOnce),
    exits=Granularity(GatedStage, Stage, HostExit),
)
