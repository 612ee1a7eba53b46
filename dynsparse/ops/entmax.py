"""Sparse probabilities: sparsemax, and entmax with entries capped at 1."""

from jaxtyping import Array, Float, Num

from dynsparse.ops.counts import require_positive
from dynsparse.ops.families import power
from dynsparse.ops.threshold import soft_topk_mask


def sparsemax(
    scores: Float[Array, "*batch n"],
    temperature: float | Float[Array, ""] = 1.0,
) -> Float[Array, "*batch n"]:
    """Projection of scores / temperature onto the simplex: sums to 1, exact zeros.

    Martins and Astudillo (2016, arXiv:1602.02068): the capped projection whose sum
    is 1, which caps nothing. As a mask it opens a number of units that varies with the
    input and shares a sum of 1 among them, whatever their number.

    Args:
        scores: Higher is more likely to be open.
        temperature: > 0, in units of `scores`; the larger, the more units are open.

    Returns:
        The probabilities, in the shape and dtype of `scores`; zeros where `-inf`
        forbids all units.

    Raises:
        ValueError: If a concrete `temperature` is not positive.

    Example:
        >>> ops.sparsemax(jnp.array([1.0, 0.5, -1.0]))
        Array([0.75, 0.25, 0.  ], dtype=float32)
    """
    require_positive("sparsemax", temperature=temperature)
    return soft_topk_mask(scores, 1, temperature, family="capped", solver="sort")


def capped_entmax(
    scores: Float[Array, "*batch n"],
    k: int | float | Num[Array, "*#batch"],
    temperature: float | Float[Array, "*#batch"] = 1.0,
    *,
    alpha: float,
) -> Float[Array, "*batch n"]:
    r"""Entmax with entries capped at 1 and sum `k`: exact zeros and exact ones.

    $\min(1, [(\alpha - 1) s / T - \theta]_+^{1 / (\alpha - 1)})$: alpha-entmax (Peters,
    Niculae and Martins, 2019, arXiv:1905.05702) over the capped simplex, a member of
    the threshold family: `soft_topk_mask` with `power(alpha)` at temperature
    $T / (\alpha - 1)$, hence with its derivatives, ranges and errors. Alpha 2 is the
    capped projection; towards 1 it becomes the softmax with capped entries.

    Args:
        scores: Higher is more likely to be open.
        k: Sum of each row, in [0, n].
        temperature: > 0, in units of `scores`.
        alpha: In (1, 2], static.

    Raises:
        ValueError: If a concrete value is out of range.

    Example:
        >>> ops.capped_entmax(jnp.array([2.0, 0.5, 0.0, -9.0]), 2, alpha=1.5)
        Array([1.  , 0.67, 0.33, 0.  ], dtype=float32)
    """
    family = power(alpha)  # first: it names an alpha that is not accepted
    return soft_topk_mask(scores, k, temperature / (alpha - 1), family=family)
