"""The base class of budget policies: what training asks of one, in order."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from dynsparse._internal.ranges import Checked
from dynsparse.budgets.distillation import Distance
from dynsparse.budgets.penalties.base import Penalty
from dynsparse.budgets.usage import Usage
from dynsparse.gates import Gate

State = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Policy(Checked):
    """Says what a training may spend; the base class asks for penalties alone.

    A policy of one's own is a subclass, named by its place in the config:
    `--config.budget.name=package.module:Class`. Training calls its methods from
    `gate_keys` to `finish` in the order in which they stand here. Everything is
    constant but the state, which is saved with the run: plain arrays, in which runs
    that train together may differ.

    >>> policy = budgets.Policy()
    >>> policy.passes, policy.init(), policy.finish(lambda shift: 0.5)
    (1, {'weights': []}, None)

    Attributes:
        penalties: What is added to the loss.

    Raises:
        ValueError: If a value is not accepted.
    """

    penalties: tuple[Penalty, ...] = ()

    @property
    def passes(self) -> int:
        """Passes that every step makes, each at a density of its own."""
        return 1

    @property
    def reads_features(self) -> bool:
        """Whether `distil` reads what the heads of a model read."""
        return False

    @property
    def lowest(self) -> float:
        """Lowest density that a step trains at; 1 where gates have none to choose."""
        return 1.0

    @property
    def points(self) -> tuple[float, ...]:
        """Densities of which a curve shows a point in any case."""
        return ()

    def gate_keys(self, gate: type[Gate]) -> dict[str, float]:
        """Returns the keys that are added to those of a gate: its density, or none.

        Args:
            gate: Its class.

        Raises:
            ValueError: If the gate has a density and the policy sets none, or sets one
                in a way that the gate cannot follow.
        """
        if takes_density(gate):
            raise ValueError(
                f"budget: {gate.__name__} needs a density, which "
                f"{type(self).__name__} does not set; accepted: fixed, or any and "
                "shared for top-k gates."
            )
        return {}

    def attach(self, model: nnx.Module, costs: Mapping[str, float]):
        """Gives `model` what the policy learns, if that is anything.

        Args:
            model: Gated.
            costs: MACs of all units of a layer together, by layer.
        """

    def check(self, gates: Mapping[str, Gate], floor: float):
        """Refuses a model that cannot do what is asked.

        Args:
            gates: By layer.
            floor: Fraction of the dense MACs that no gate closes.

        Raises:
            ValueError: If no gate can move as asked, or a target is below the floor.
        """
        for penalty in self.penalties:
            penalty.check(gates, floor)

    def init(self) -> State:
        """Returns the state before the first step."""
        return dict(weights=[jnp.float32(p.weight) for p in self.penalties])

    def densities(
        self, key: PRNGKeyArray, progress: Float[Array, ""]
    ) -> Float[Array, "passes"] | None:
        """Returns the densities of the passes of a step; None leaves those of gates.

        Args:
            key: Of the step.
            progress: Share of the training steps that are done, in [0, 1].
        """
        return None

    def measure(
        self,
        step: Int[Array, ""],
        progress: Float[Array, ""],
        evaluate: Callable[[], Usage],
    ) -> Float[Array, ""] | None:
        """Returns what evaluation spends on the batch, where the policy asks for that.

        Args:
            step: Number of the step.
            progress: Share of the training steps that are done, in [0, 1].
            evaluate: Runs the batch as in evaluation, without noise; costs a pass.
        """
        return None

    def distil(
        self,
        losses: Float[Array, "passes batch"],
        outputs: PyTree,
        features: tuple[Float[Array, "passes batch _"], ...],
        distance: Distance | None = None,
    ) -> Float[Array, "passes batch"]:
        """Returns the losses of the passes, those of students mixed with a teacher's.

        Args:
            losses: From the targets.
            outputs: Of the model, in float32, each [passes, batch, ...].
            features: What each head of the model read.
            distance: Of outputs from a teacher's, as in `Distillation`.
        """
        return losses

    def loss(
        self, state: State, usage: Usage, spent: Float[Array, ""] | None
    ) -> tuple[Float[Array, ""] | int, State, dict[str, Float[Array, ""]]]:
        """Returns what is added to the loss, the next state and metrics.

        Args:
            state: Before the step.
            usage: What the batch opened.
            spent: From `measure`.
        """
        weighed = zip(self.penalties, state["weights"], strict=True)
        return sum(penalty(usage, weight) for penalty, weight in weighed), state, {}

    def finish(self, spends: Callable[[float], float]) -> float | None:
        """Returns the shift of all scores that ends a run; None for none.

        Args:
            spends: What the validation split spends at a shift, as a fraction of the
                dense MACs.
        """
        return None

    def without_weights(self) -> "Policy":
        """Returns the policy less what its state holds: that of the compiled step."""
        return dataclasses.replace(
            self,
            penalties=tuple(dataclasses.replace(p, weight=0.0) for p in self.penalties),
        )

    def words(
        self, at: Callable[[float], str] | None, of: Callable[[float], str]
    ) -> str:
        """Returns what a step may spend, for people; "" where that is for gates to say.

        Args:
            at: MACs at a density, in words; None where no density says them.
            of: MACs of a fraction of the dense ones, in words.
        """
        return ", ".join(
            filter(None, (penalty.words(of) for penalty in self.penalties))
        )


def takes_density(gate: type[Gate]) -> bool:
    """Whether the constructor of a gate takes a density."""
    return "density" in inspect.signature(gate.__init__).parameters
