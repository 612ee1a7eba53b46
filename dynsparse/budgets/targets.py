"""Targets for the MACs: whether a model can meet one, and the shift that does."""

from collections.abc import Callable, Mapping

from dynsparse.gates import Gate

_NEAR, _FURTHEST = 16.0, 128.0  # that scores move: as a rule, and at most
_HALVINGS = 16
_CLOSE = 5e-4  # of the dense MACs: close enough to stop


def check_target(target: float, floor: float, name: str):
    """Raises a ValueError unless a model whose gates close can meet the target.

    Args:
        target: Fraction of the dense MACs.
        floor: Fraction that no gate closes.
        name: What asks for it, in the error.
    """
    if target < floor:
        raise ValueError(
            f"{name}: target {target} is below the floor of the model: {floor:.3f} of "
            "its dense MACs cannot be closed."
        )


def check_moves(gates: Mapping[str, Gate], name: str):
    """Raises a ValueError where every gate opens what its own keys say.

    Args:
        gates: By layer.
        name: What is to move them, in the error.
    """
    if not any(g.count == "varying" and not g.random for g in gates.values()):
        kinds = ", ".join(sorted({type(gate).__name__ for gate in gates.values()}))
        raise ValueError(
            f"{name}: moves gates of a varying count that learn, such as "
            f"gumbel_sigmoid; those of this model are {kinds or 'none'}. A top-k gate "
            "meets a budget by its density."
        )


def find_shift(
    spends: Callable[[float], float], target: float, *, upper_bound: bool = False
) -> float | None:
    """Returns the shift of all scores by which a split spends a target, by bisection.

    >>> budgets.find_shift(lambda shift: 0.5 + shift / 100, 0.6)
    10.0

    Args:
        spends: What the split spends at a shift, as a fraction of the dense MACs; it
            must not fall where the shift rises.
        target: Fraction of the dense MACs.
        upper_bound: Whether to leave scores that spend less, and never to spend more.

    Returns:
        None where scores stay as they are: shifts of up to 128 do not lead to both
        sides of the target, as where decisions do not depend on where the scores lie,
        or less is spent already and that is as good.
    """
    excess = lambda shift: spends(shift) - target
    if upper_bound and excess(0.0) <= 0:
        return None
    low, high = -_NEAR, _NEAR
    while not excess(low) < 0:
        low *= 2
        if low < -_FURTHEST:
            return None
    while not excess(high) > 0:
        high *= 2
        if high > _FURTHEST:
            return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        more = excess(middle)
        if -_CLOSE < more <= (0.0 if upper_bound else _CLOSE):
            return middle
        low, high = (low, middle) if more > 0 else (middle, high)
    return low if upper_bound else min((low, high), key=lambda s: abs(excess(s)))
