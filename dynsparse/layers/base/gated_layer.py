"""What all gated layers share: a host, a scorer, a gate, and two executions."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped

from dynsparse import ops
from dynsparse._internal.known import KnownAnswers
from dynsparse._internal.later_tokens import check_later_tokens
from dynsparse._internal.scopes import GATE_SCOPE
from dynsparse.gates import Density, Gate, GateOutput, ScoreShift, leave
from dynsparse.layers.base import branches
from dynsparse.layers.base.call_errors import check_norms, told_in_words
from dynsparse.layers.base.execution import Axis, Executed
from dynsparse.layers.base.sharing import Falling, OneForAll
from dynsparse.layers.base.stand_in import StandIn


class GatedLayer(KnownAnswers, Executed, StandIn):
    """A host module whose units run only where a gate opens them.

    Masked execution computes every unit and multiplies by the mask: differentiable, for
    training. Compact execution computes the open units only: fast, for inference. The
    two agree to float tolerance wherever the gate makes the same decision. Dense
    execution opens every unit without a decision: the baseline of every bill.

    Each call leaves its `GateOutput` as a `GateRecord` for `nnx.capture`.

    Attributes:
        unit: What a unit is, in words.
        kinds: The values of `Gate.count` that make sense for this granularity.
        score_axis: Over what the gate decides: "units", of which the input has a row
            of features each; "fields", which are columns of codes; "example",
            num_units for each example; "answer", one for the logits of each example;
            "rows", num_units for each row of features, such as a token.
        falls: Whether what a layer closes stays closed in later ones of its rule.
        sharing: How its decision and those of other layers depend; None for not at all.
        equal_units: Whether each open unit costs the same MACs, whichever others are
            open: how bills price many counts at once.

    Args:
        host: The module that is skipped where the gate is closed.
        scorer: Maps the layer's input to scores, [batch, num_units], or one axis more
            where rows decide. `-inf` closes a unit at every density; one that gives
            none may say `forbids = False`, and is not asked where all units open.
        gate: Maps scores to a decision.
        num_units: Units per example, or per row.

    Raises:
        ValueError: If the gate is of a kind that this granularity does not take, or
            lets units compete where there is but one.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> layer = layers.gated(
        ...     layers.Mlp.create(width=4, hidden=8, rngs=rngs),
        ...     granularity="neurons",
        ...     gate=dict(name="hard_topk", density=0.5),
        ...     scorer=dict(name="linear"),
        ...     num_blocks=2,
        ...     rngs=rngs,
        ... )
        >>> x = jax.random.normal(jax.random.key(0), (3, 4))
        >>> compact = gates.evaluating(layer, execution="compact", density=0.5)
        >>> bool(jnp.allclose(compact(x), gates.evaluating(layer)(x), atol=1e-5))
        True
    """

    unit: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    score_axis: ClassVar[Axis]
    falls: ClassVar[bool] = False
    sharing: OneForAll | Falling | None = None
    equal_units: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        for name in vars(cls).keys() & {"__call__", "step"}:
            setattr(cls, name, told_in_words(vars(cls)[name]))

    def __init__(
        self, *, host: nnx.Module, scorer: nnx.Module, gate: Gate, num_units: int
    ):
        if gate.count not in self.kinds:
            raise ValueError(
                f"{type(self).__name__} (unit: {self.unit}) takes gates whose count is "
                f"{' or '.join(self.kinds)}; that of {type(gate).__name__} is "
                f"{gate.count}."
            )
        if gate.competes and num_units == 1:
            raise ValueError(
                f"{type(self).__name__} has one unit ({self.unit}) per example; the "
                f"units of {type(gate).__name__} compete, so it needs more."
            )
        self.host: Any = host
        self.scorer: Any = scorer
        self.gate = gate
        self.shift = ScoreShift(jnp.float32(0)) if gate.count == "varying" else None
        self.num_units = num_units

    def static_count(self, total: int | None = None) -> int | None:
        """Number of units that run for every input, or None where the input decides.

        Args:
            total: Number of units that there are; `num_units` if None.
        """
        total = self.num_units if total is None else total
        if self.execution == "masked":
            return None
        if self.execution == "dense":
            return total
        if self.forced_count is not None:
            return self.forced_count
        gate = self.gate
        if gate.count == "fixed" and not (gate.deterministic or gate.random):
            return None  # in training some gates open a little of more units
        return gate.static_count(total)

    def opens_all(self, total: int | None = None) -> bool:
        """Whether every unit runs and the gate need not be asked.

        Args:
            total: As in `static_count`.
        """
        if self.execution == "dense":
            return True
        if self.decides_always:
            return False
        total = self.num_units if total is None else total
        return self.static_count(total) == total

    @property
    def decides_always(self) -> bool:
        """Whether the gate is asked even where the count is that of all units."""
        return self.gate.count == "varying" or self.forbids

    @property
    def forbids(self) -> bool:
        """Whether scores may be `-inf`, which closes a unit at every density."""
        return self.gate.count != "full" and getattr(self.scorer, "forbids", True)

    @property
    def counts_tokens(self) -> bool:
        """Whether a decision depends on how many tokens an example has."""
        return False

    def check_inside_tokens(self):
        """Refuses a layer that would count other tokens in compact execution.

        Raises:
            ValueError: If `counts_tokens`, where a layer around this one leaves tokens
                out.
        """
        if self.counts_tokens:
            raise ValueError(
                f"{type(self).__name__} decides about all tokens of an example; inside "
                f"gated tokens use GatedExperts without max_tokens."
            )

    @property
    def reads_later(self) -> str | None:
        """How a decision about a token depends on later ones, in words, or None."""
        blind = self.gate.random or not getattr(self.scorer, "reads_input", True)
        every = self.gate.static_count(self.num_units) == self.num_units
        if self.execution == "dense" or blind:
            return None
        if self.score_axis == "example":
            if every and not self.forbids:
                return None
            return (
                f"{type(self).__name__} (unit: {self.unit}) decides on all tokens of "
                f"an example at once; let each decide: granularity neurons, experts or "
                f"bypass"
            )
        compares = self.score_axis == "units" and not every
        return self._compares_tokens() if compares else None

    def _compares_tokens(self) -> str | None:
        if self.gate.causal:
            return None
        return (
            f"{type(self.gate).__name__} compares a token with later ones; replace it "
            f"by layers.causal_twins(model, batches), or train with ema_threshold"
        )

    def choose(self, features: Shaped[Array, "batch *axes"]) -> GateOutput:
        """Decides for these features alone, whatever a layer around this one closes."""
        if self.sharing is not None:
            return self.sharing.decide(self, features)
        return self.decide_alone(features)

    def decide_alone(self, features: Shaped[Array, "batch *axes"]) -> GateOutput:
        """Decides for these features, whatever other layers do."""
        return self.gate(self.score(features))

    def score(self, features: Shaped[Array, "batch *axes"]) -> Float[Array, "..."]:
        """Scores `features`, with the shift that calibration found.

        Raises:
            ValueError: If the scores are differentiated in compact execution.
        """
        scores = self.scorer(features)
        if self.shift is not None:
            scores = scores + self.shift[...].astype(scores.dtype)
        if self.execution == "compact" and not self.gate.random:
            learned = nnx.state(self.gate, (nnx.Param, Density))
            scores = ops.undifferentiated(
                f"{type(self).__name__} (unit: {self.unit}): compact execution does "
                f"not compute closed units, without which the decision has no "
                f"gradient; differentiate execution='masked'.",
                scores,
                nnx.to_pure_dict(learned),
            )
        return scores

    def decide(
        self,
        features: Shaped[Array, "batch *axes"],
        mask: Float[Array, "batch *rows"] | None = None,
        **beside: Array,
    ) -> GateOutput:
        """Scores `features`, asks the gate and leaves the record.

        Args:
            features: What the scorer reads.
            mask: Rows or examples that are open in a layer around this one; in the
                others no unit is open.
            **beside: What else `choose` reads.

        Raises:
            ValueError: If there is not one score for each unit, the host has a norm
                over the batch where some of it is not computed, the decision counts
                tokens of which some are closed, or in evaluation a causal host would
                choose tokens by later ones.
        """
        if mask is not None:
            self.check_inside_tokens()
        if self.gate.deterministic:
            check_later_tokens(self)
        if self.execution == "compact":
            check_norms(self.host)
        with jax.named_scope(GATE_SCOPE):  # how bills tell the gate's own cost
            decision = self.choose(features, **beside)
        wanted = self.decision_shape(features)
        if decision.mask.shape != wanted:
            raise ValueError(
                f"the scorer {type(self.scorer).__name__} gives scores of shape "
                f"{decision.mask.shape}, but {type(self).__name__} (unit: "
                f"{self.unit}) needs {wanted}."
            )
        if mask is not None:
            weight = mask[..., None]
            decision = GateOutput(*(ops.weigh(part, weight) for part in decision))
        self.record(decision)
        return decision

    def decide_all(
        self,
        features: Shaped[Array, "batch *axes"],
        mask: Float[Array, "batch *rows"] | None = None,
    ) -> Float[Array, "batch *rows n"]:
        """Opens every unit, without a score, and leaves the record.

        Args:
            features: As in `decide`.
            mask: As in `decide`.

        Returns:
            The mask.
        """
        shape = self.decision_shape(features)
        floating = jnp.issubdtype(features.dtype, jnp.floating)
        ones = jnp.ones(shape, features.dtype if floating else jnp.float32)
        if mask is not None:
            ones = ones * mask[..., None].astype(ones.dtype)
        self.record(GateOutput(ones, ones))
        return ones

    def decision_shape(self, features: Shaped[Array, "batch *axes"]) -> tuple[int, ...]:
        """Shape of the mask for these features."""
        if self.score_axis in ("units", "fields"):
            return features.shape[:2]
        rows = features.shape[: -1 if self.score_axis == "rows" else 1]
        return (*rows, self.num_units)

    def record(self, decision: GateOutput):
        """Leaves a decision for `nnx.capture`, or for the host around this layer."""
        if not hasattr(self, "__captures__"):
            return  # outside nnx.capture there is no reader
        if not branches.noted(self, decision):
            leave(self, decision)
