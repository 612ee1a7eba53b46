"""The contract that every gate obeys, and the record that gated layers leave."""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from dynsparse import ops
from dynsparse._internal.known import KnownAnswers
from dynsparse._internal.later_tokens import check_later_tokens
from dynsparse._internal.paths import path_name


class GateOutput(NamedTuple):
    """The decision: what a gate returns, in the shape and dtype of the scores.

    Attributes:
        mask: Multiplies the gated units. In [0, 1]; may be soft while training.
        open_prob: Probability that each unit runs, in [0, 1]. Losses read the expected
            density from here and nowhere else.
    """

    mask: Float[Array, "*batch n"]
    open_prob: Float[Array, "*batch n"]


class Temperature(nnx.Variable):
    """Relaxation temperature. An array, so that annealing it never recompiles."""


class Density(nnx.Variable):
    """Fraction of units that a top-k gate opens. An array, so that it may move."""


class ScoreShift(nnx.Variable):
    """What is added to the scores of a gate of a varying count, in their units."""


class GateRecord(nnx.Variable):
    """The `GateOutput` that a gated layer leaves for `nnx.capture`."""


def records(
    captured: Mapping[Any, Any], kind: type[nnx.Variable] = GateRecord
) -> dict[str, Any]:
    """Maps the path of each gated layer to its decision, or others to what they left.

    Args:
        captured: The state that `nnx.capture(model, kind)(x)` returns.
        kind: What to look for; `GateOutput`s are left as a `GateRecord`.

    Raises:
        ValueError: If a layer left more than one.
    """
    state: Any = captured
    found: dict[str, Any] = {}
    for path, variable in nnx.to_flat_state(state):
        if isinstance(variable, kind):
            name = path_name(path[:-1])
            *others, found[name] = variable.get_value()
            if others:
                raise ValueError(
                    f"{name or 'the layer'} is called {len(others) + 1} times in one "
                    f"pass, of which a bill counts one: give each call a layer of its "
                    f"own; layers may share a host."
                )
    return found


def gated_modules(model: nnx.Module) -> dict[tuple, Any]:
    """The modules of `model` that own a gate, by their path."""
    return {
        tuple(path): module
        for path, module in nnx.iter_modules(model)
        if isinstance(getattr(module, "gate", None), Gate)
    }


def find_gates(model: nnx.Module) -> dict[str, "Gate"]:
    """The gates of `model` by the path of their layer, as their records are named."""
    return {path_name(path): x.gate for path, x in gated_modules(model).items()}


def evaluating(
    model: Any,
    *,
    execution: str | None = None,
    density: float | None = None,
    capacity_steps: int | None = None,
) -> Any:
    """The model as it answers: without noise, norms by their running averages.

    Args:
        model: Any module, with gates or without; it shares its arrays with what is
            returned.
        execution: Of its gated layers; None leaves it.
        density: Static density of its top-k gates; None leaves it.
        capacity_steps: Of its gated layers; None leaves them.

    Raises:
        ValueError: If a layer does not accept a value, or a causal model would decide
            by later tokens.
    """
    asked: dict[str, Any] = dict(
        execution=execution, density=density, capacity_steps=capacity_steps
    )
    view = nnx.view(
        model,
        deterministic=True,
        use_running_average=True,
        raise_if_not_found=False,
        **{name: value for name, value in asked.items() if value is not None},
    )
    check_later_tokens(view)
    return view


def deterministic_output(mask: Float[Array, "*batch n"]) -> GateOutput:
    """The decision of a gate that leaves nothing to chance: `open_prob` is `mask`.

    Also where inclusion probabilities have no closed form: what is drawn is unbiased.
    """
    return GateOutput(mask, mask)


class Gate(KnownAnswers, nnx.Module, abc.ABC):
    """Turns scores into a decision. Subclass it in a file of its own.

    A gate learns through the gradient of its mask, or, if it has a `surrogate`, from
    the losses of several samples.

    Attributes:
        count: Whether the number of open units is "fixed", the same for every input, or
            "varying"; "full" opens every unit.
        competes: Whether the units of a row compete, so that one unit alone decides
            nothing.
        random: Whether it stays random in evaluation, whatever the scores.
        samples: Passes of a training step, each with a decision of its own.
        joint: Whether gates of this kind may depend on each other's samples within a
            pass.
        sample: Which of the `samples` passes this is; a view sets it.
        deterministic: True in evaluation, where a gate that learns draws no noise.
    """

    count: ClassVar[Literal["fixed", "varying", "full"]]
    competes: ClassVar[bool] = False
    joint: ClassVar[bool] = True
    random: ClassVar[bool] = False
    samples: int = 1
    sample: int = 0
    deterministic: bool = False

    @abc.abstractmethod
    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis of `scores`."""

    @property
    def causal(self) -> bool:
        """Whether it decides on each unit, in evaluation, from its score alone."""
        return self.count != "fixed" and not self.competes

    def surrogate(
        self, record: GateOutput, losses: Float[Array, "samples *batch"]
    ) -> Float[Array, ""] | None:
        """Returns what a step adds to its loss so that the gate learns from losses.

        Only its gradient by `record.open_prob` is used. None for a gate that learns
        through its mask.

        Args:
            record: The decisions of all passes, [samples, *batch, n].
            losses: Of each example in each pass.
        """
        return None

    def static_count(self, n: int) -> int | None:
        """Units of `n` that open for every input, or None where that is not known."""
        return None

    def set_view(self, deterministic: bool | None = None, sample: int | None = None):
        """Lets `nnx.view(model, deterministic=True)` switch the noise off.

        Args:
            deterministic: True to decide without noise.
            sample: Which of the `samples` passes of a training step this is.
        """
        if deterministic is not None:
            self.deterministic = deterministic
        if sample is not None:
            self.sample = sample


class TopkGate(Gate):
    """A gate that opens exactly round(density * n) of n units.

    At least one where the density is above 0. n counts what is allowed: a score of
    `-inf`, such as that of padding, forbids its unit, and such a row opens fewer.

    Attributes:
        learns_density: Whether the gradient of its mask reaches its density.

    Args:
        density: Initial value of the `Density` Variable, in [0, 1].
    """

    count = "fixed"
    competes = True
    learns_density: ClassVar[bool] = False

    def __init__(self, *, density: float):
        check_density(density)
        self.density = Density(jnp.float32(density))
        self.static_density: float | None = None

    def set_view(
        self,
        deterministic: bool | None = None,
        sample: int | None = None,
        density: float | None = None,
    ):
        """Lets `nnx.view(model, density=0.5)` fix the density at compile time.

        Args:
            deterministic: True to decide without noise.
            sample: Which of the `samples` passes of a training step this is.
            density: Static density in [0, 1], instead of the `Density` Variable.

        Raises:
            ValueError: If `density` is outside [0, 1].
        """
        super().set_view(deterministic=deterministic, sample=sample)
        if density is not None:
            check_density(density)
            self.static_density = density

    @property
    def current_density(self) -> float:
        """That of a view where it has one, else that of the `Density` Variable."""
        static = self.static_density
        return float(self.density[...]) if static is None else static

    def counts(self, scores: Float[Array, "*batch n"]) -> Int[Array, "*batch"]:
        """Units of each row to open: a density of those that are not forbidden."""
        static = self.static_density
        density = self.density[...] if static is None else jnp.float32(static)
        return ops.traced_num_open(density, ops.num_allowed(scores))

    def sloped_counts(self, scores: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        """`counts`, with the derivative of density * n."""
        slope = self.density[...] * ops.num_allowed(scores).astype(jnp.float32)
        counts = self.counts(scores).astype(jnp.float32)
        return counts + (slope - jax.lax.stop_gradient(slope))

    def static_count(self, n: int) -> int | None:
        """Units of `n` that open, at most, where a view has fixed the density."""
        if self.static_density is None:
            return None
        return ops.num_open(self.static_density, n)

    def hard_output(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """The decision of evaluation: exactly the highest scores open."""
        return deterministic_output(ops.hard_topk_mask(scores, self.counts(scores)))


def positive(scores: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
    """Ones where a score is above 0, zeros elsewhere, without a gradient."""
    return (scores > 0).astype(scores.dtype)


def unit_logits(record: GateOutput) -> Float[Array, "*batch n"]:
    """Logits whose sigmoid is `open_prob`, in float32.

    Where that is exactly 0 or 1, as always with gates that decide without noise, they
    are finite and have no gradient.
    """
    prob = record.open_prob.astype(jnp.float32)
    ends = jnp.finfo(jnp.float32)
    prob = jnp.clip(prob, ends.tiny, 1 - ends.epsneg)
    return jnp.log(prob) - jnp.log1p(-prob)


def initial_temperature(temperature: float) -> Temperature:
    """The `Temperature` Variable of a gate.

    Raises:
        ValueError: If `temperature` is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}.")
    return Temperature(jnp.float32(temperature))


def check_density(density: float):
    """Raises a ValueError that names a density outside [0, 1]."""
    if not 0 <= density <= 1:
        raise ValueError(f"density must be in [0, 1], got {density}.")
