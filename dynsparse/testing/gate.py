"""The contract of a gate."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dynsparse._internal.require import require
from dynsparse.gates import Gate, GateOutput, TopkGate, evaluating

_ROWS = 64  # decisions of a check
_COUNTS = ("fixed", "varying", "full")


def check_gate(gate: Gate, *, num_units: int = 16, learns: bool = True):
    """Refuses a gate that breaks the contract of `gates.Gate`.

    Decisions keep shape and dtype of the scores and lie in [0, 1], also for infinite
    scores and in bfloat16; evaluation repeats itself; a fixed count opens exactly the
    units that it says; and what learns leaves its scores a finite gradient.

    Args:
        gate: As it trains; it is not changed.
        num_units: Units of a row, at least 2.
        learns: False for a control, which leaves scores no gradient.

    Raises:
        ValueError: With what is wrong, in words.

    Example:
        >>> testing.check_gate(gates.from_config(dict(name="reinmax", temperature=1.0),
        ...                                      rngs=nnx.Rngs(0, gate=1)))
        >>> class Doubles(gates.Gate):
        ...     count = "varying"
        ...     def __call__(self, scores):
        ...         return gates.deterministic_output(2 * jax.nn.sigmoid(scores))
        >>> testing.check_gate(Doubles(rngs=nnx.Rngs(0)))
        Traceback (most recent call last):
            ...
        ValueError: Doubles: mask must lie in [0, 1], got values from ...
    """
    name = type(gate).__name__
    require(isinstance(gate, Gate), f"{name} must be a dynsparse.gates.Gate")
    count = getattr(gate, "count", None)
    require(count in _COUNTS, f"{name}: count must be one of {_COUNTS}, got {count!r}")
    scores = 3 * jax.random.normal(jax.random.key(0), (_ROWS, num_units))
    decide = jax.jit(lambda scores: nnx.clone(gate)(scores))
    for dtype in (jnp.float32, jnp.bfloat16):
        _check_output(name, decide(scores.astype(dtype)), scores.astype(dtype))
    infinite = scores.at[:, 0].set(jnp.inf)
    _check_output(f"{name}: an infinite score", decide(infinite), infinite)
    _check_evaluation(name, gate, scores)
    if learns:
        _check_gradient(name, gate, scores)


def _check_output(name: str, output: GateOutput, scores: jax.Array):
    require(isinstance(output, GateOutput), f"{name}: a call must return a GateOutput")
    for part, value in zip(GateOutput._fields, output, strict=True):
        given = (scores.shape, str(scores.dtype))
        found = (value.shape, str(value.dtype))
        require(
            found == given,
            f"{name}: {part} must have the shape and dtype of the scores, {given}, got "
            f"{found}",
        )
        low, high = float(value.min()), float(value.max())  # nan where one is
        require(
            low >= 0 and high <= 1,
            f"{name}: {part} must lie in [0, 1], got values from {low} to {high}",
        )


def _check_evaluation(name: str, gate: Gate, scores: jax.Array):
    view = evaluating(nnx.clone(gate))
    if isinstance(gate, TopkGate):
        view = evaluating(view, density=0.5)

    @jax.jit
    def twice(scores: jax.Array) -> list[GateOutput]:
        one = nnx.clone(view)
        return [one(scores), one(scores)]

    first, again = twice(scores)
    require(
        gate.random or all(map(np.array_equal, first, again)),
        f"{name}: evaluation must give the same decision for the same scores",
    )
    counts = np.unique((first.mask > 0).sum(-1))
    expected = view.static_count(scores.shape[-1])
    if gate.count == "full":
        expected = scores.shape[-1]
    if gate.count != "varying":
        require(
            len(counts) == 1,
            f"{name}: count is {gate.count!r}, but from {counts.min()} to "
            f"{counts.max()} units are open, which is a varying count",
        )
    require(
        expected is None or list(counts) == [expected],
        f"{name}: static_count says that {expected} units of {scores.shape[-1]} are "
        f"open, got {list(map(int, counts))}",
    )


def _check_gradient(name: str, gate: Gate, scores: jax.Array):
    weights = jnp.linspace(0.0, 1.0, scores.shape[-1])

    def slope(part: str, scores: jax.Array) -> jax.Array:
        loss = lambda x: (getattr(nnx.clone(gate)(x), part) @ weights).sum()
        return jax.grad(loss)(scores)

    both = jax.jit(lambda scores: [slope(p, scores) for p in GateOutput._fields])
    slopes = both(scores)
    require(
        all(bool(jnp.isfinite(each).all()) for each in slopes),
        f"{name}: the gradient of a decision by its scores must be finite",
    )
    require(
        any(bool(each.any()) for each in slopes),
        f"{name}: neither mask nor open_prob leaves its scores a gradient, so that "
        "nothing is learned; pass learns=False for a control",
    )
