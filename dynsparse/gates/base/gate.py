"""The base classes of gates: `Gate`, and `TemperatureGate` for relaxations."""

import abc
from typing import ClassVar, Literal

import jax
from flax import nnx
from flax.errors import TraceContextError
from jaxtyping import Array, Float, PRNGKeyArray

from dynsparse._internal.known import KnownAnswers
from dynsparse.gates.base.decision import GateOutput
from dynsparse.gates.base.variables import initial_temperature


class Gate(KnownAnswers, nnx.Module, abc.ABC):
    """Turns scores into a decision. Subclass it in a file of its own.

    A gate learns through the gradient of its mask, or, if it has a `surrogate`, from
    the losses of several samples.

    Attributes:
        count: Whether the number of open units is "fixed", the same for every input, or
            "varying"; "full" opens every unit.
        competes: Whether the units of a row compete, so that one unit alone decides
            nothing.
        noisy: Whether the gate draws noise, from its stream `noise`.
        random: Whether the gate stays random in evaluation, whatever the scores.
        samples: Passes of a training step, each with a decision of its own.
        joint: Whether gates of this kind may depend on each other's samples within a
            pass.
        sample: Which of the `samples` passes this is; a view sets it.
        deterministic: True in evaluation, where a gate that learns draws no noise.

    Args:
        rngs: Noisy gates draw from the `gate` stream; forked, so that gates are
            independent.

    Example:
        >>> class AboveMean(gates.Gate):
        ...     count, competes = "varying", True
        ...     def __call__(self, scores):
        ...         opened = scores > scores.mean(-1, keepdims=True)
        ...         return gates.deterministic_output(opened.astype(scores.dtype))
        >>> AboveMean(rngs=nnx.Rngs(0))(jnp.array([1.0, 2.0, 6.0])).mask
        Array([0., 0., 1.], dtype=float32)
    """

    count: ClassVar[Literal["fixed", "varying", "full"]]
    competes: ClassVar[bool] = False
    joint: ClassVar[bool] = True
    noisy: ClassVar[bool] = False
    random: ClassVar[bool] = False
    samples: int = 1
    sample: int = 0
    deterministic: bool = False

    def __init__(self, *, rngs: nnx.Rngs):
        if self.noisy:
            self.noise = rngs.gate.fork()

    @abc.abstractmethod
    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis of `scores`."""

    @property
    def causal(self) -> bool:
        """Whether evaluation decides on each unit from its score alone."""
        return self.count != "fixed" and not self.competes

    def surrogate(
        self, record: GateOutput, losses: Float[Array, "samples *batch"]
    ) -> Float[Array, ""] | None:
        """Returns a term of the loss whose gradient teaches the gate from losses.

        Only the gradient by `record.open_prob` is used. None for a gate that learns
        through its mask.

        Args:
            record: Decisions of all passes, [samples, *batch, n].
            losses: Loss of each example in each pass.
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

    def next_key(self) -> PRNGKeyArray:
        """Next key of the noise, for gates that draw in evaluation.

        A trace within another, such as a branch of compact execution, cannot advance
        the stream: all branches draw with the same key, and one of them runs.
        """
        try:
            return self.noise()
        except TraceContextError:
            return jax.random.fold_in(self.noise.key[...], self.noise.count[...])


class TemperatureGate(Gate):
    """A gate whose relaxation has a temperature.

    Args:
        temperature: Initial value of the `Temperature` Variable, > 0.
        rngs: As in `Gate`.

    Raises:
        ValueError: If `temperature` is not positive.

    Example:
        >>> class Sigmoid(gates.TemperatureGate):
        ...     count = "varying"
        ...     def __call__(self, scores):
        ...         mask = jax.nn.sigmoid(scores / self.temperature[...])
        ...         return gates.deterministic_output(mask)
        >>> gate = Sigmoid(temperature=0.5, rngs=nnx.Rngs(0))
        >>> gate(jnp.array([-1.0, 0.0, 1.0])).mask
        Array([0.12, 0.5 , 0.88], dtype=float32)
    """

    def __init__(self, *, temperature: float, rngs: nnx.Rngs):
        super().__init__(rngs=rngs)
        self.temperature = initial_temperature(temperature)
