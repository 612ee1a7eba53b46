"""Gates that open a fixed count: exactly k of n units."""

import abc
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Num

from dynsparse import ops
from dynsparse._internal.ranges import check_density
from dynsparse.gates.base.decision import GateOutput, deterministic_output
from dynsparse.gates.base.gate import Gate
from dynsparse.gates.base.variables import Density, initial_temperature


class TopkGate(Gate):
    """A gate that opens exactly round(density * n) of n units.

    At least one where the density is above 0. n counts what is allowed: a score of
    `-inf`, such as that of padding, forbids its unit, and such a row opens fewer. In
    evaluation the highest scores open; in training those that `training_output`
    chooses.

    Attributes:
        learns_density: Whether the gradient of the mask reaches the density.

    Args:
        density: Initial value of the `Density` Variable, in [0, 1].
        rngs: As in `Gate`.

    Raises:
        ValueError: If `density` is out of range.

    Example:
        >>> class Topk(gates.TopkGate):
        ...     def training_output(self, scores):
        ...         return self.hard_output(scores)
        >>> gate = Topk(density=0.5, rngs=nnx.Rngs(0))
        >>> gate(jnp.array([3.0, 1.0, 2.0, -jnp.inf])).mask  # round(1.5) of 3
        Array([1., 0., 1., 0.], dtype=float32)
    """

    count = "fixed"
    competes = True
    learns_density: ClassVar[bool] = False

    def __init__(self, *, density: float, rngs: nnx.Rngs):
        super().__init__(rngs=rngs)
        check_density(density)
        self.density = Density(jnp.float32(density))
        self.static_density: float | None = None

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Opens k units of the last axis."""
        if self.deterministic:
            return self.hard_output(scores)
        return self.training_output(scores)

    def training_output(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """The decision in training; that of evaluation, unless overridden."""
        return self.hard_output(scores)

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
        """Density of a view where it has one, else of the `Density` Variable.

        Raises:
            ValueError: If layers of a stack have several.
        """
        if self.static_density is not None:
            return self.static_density
        first, *others = np.unique(jax.device_get(self.density[...])).tolist()
        if others:
            raise ValueError(
                f"the layers of a scan have densities from {first} to {others[-1]}: "
                f"give one for all of them."
            )
        return first

    def counts(self, scores: Float[Array, "*batch n"]) -> Int[Array, "*batch"]:
        """Units of each row to open: the density times those not forbidden."""
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


class RelaxedTopk(TopkGate):
    """A top-k gate with a hard mask that has the gradient of a relaxed one.

    A method overrides `relaxed`, and `hard` if training opens other units than those of
    the highest scores.

    Attributes:
        prices_relaxed: Whether `open_prob` is the relaxed mask, which then has to lie
            in [0, 1] and sum to k; else it is the mask itself.

    Args:
        density: Initial value of the `Density` Variable, in [0, 1].
        temperature: Initial value of the `Temperature` Variable, > 0.
        rngs: As in `Gate`.

    Raises:
        ValueError: If a value is out of range.

    Example:
        >>> class SoftmaxTopk(gates.RelaxedTopk):
        ...     def relaxed(self, scores, k):
        ...         share = jax.nn.softmax(scores / self.temperature[...])
        ...         return k[..., None] * share
        >>> gate = SoftmaxTopk(density=0.5, temperature=1.0, rngs=nnx.Rngs(0))
        >>> jax.grad(lambda scores: gate(scores).mask[0])(jnp.zeros(2))
        Array([ 0.25, -0.25], dtype=float32)
    """

    prices_relaxed: ClassVar[bool] = False

    def __init__(self, *, density: float, temperature: float, rngs: nnx.Rngs):
        super().__init__(density=density, rngs=rngs)
        self.temperature = initial_temperature(temperature)

    @abc.abstractmethod
    def relaxed(
        self, scores: Float[Array, "*batch n"], k: Num[Array, "*batch"]
    ) -> Float[Array, "*batch n"]:
        """The mask whose gradient the gate learns by, about `k` in each row."""

    def hard(
        self,
        scores: Float[Array, "*batch n"],
        k: Int[Array, "*batch"],
        soft: Float[Array, "*batch n"],
    ) -> Float[Array, "*batch n"]:
        """The mask of the forward pass, `k` ones in each row."""
        del soft
        return ops.hard_topk_mask(scores, k)

    def training_output(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """The hard mask, with the gradient of the relaxed one."""
        wide, k = ops.widened(scores), self.counts(scores)
        slope = self.learns_density
        soft = self.relaxed(wide, self.sloped_counts(wide) if slope else k)
        mask = ops.straight_through(self.hard(wide, k, soft), soft)
        prob = soft if self.prices_relaxed else mask
        return GateOutput(mask.astype(scores.dtype), prob.astype(scores.dtype))


class GumbelRelaxedTopk(RelaxedTopk):
    """A relaxed top-k gate of the scores plus Gumbel noise.

    Exactly k open: a sample without replacement from softmax(scores) (Kool, van Hoof
    and Welling, 2019, arXiv:1903.06059). The inclusion probabilities have no closed
    form: `open_prob` is the drawn mask.

    Args:
        density: Initial value of the `Density` Variable, in [0, 1].
        temperature: Initial value of the `Temperature` Variable, > 0.
        rngs: As in `Gate`.

    Example:
        >>> class Noisy(gates.GumbelRelaxedTopk):
        ...     def relaxed(self, scores, k):
        ...         return ops.soft_topk_mask(scores, k, self.temperature[...])
        >>> gate = Noisy(density=0.25, temperature=1.0, rngs=nnx.Rngs(0))
        >>> gate(jnp.zeros((3, 8))).mask.sum(-1)
        Array([2., 2., 2.], dtype=float32)
    """

    noisy = True

    def training_output(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """The k highest of the perturbed scores, with their relaxed gradient."""
        mask = super().training_output(ops.gumbel_perturb(self.noise(), scores)).mask
        return deterministic_output(mask.astype(scores.dtype))
