"""Properties of the logistic soft top-k mask, against float64 references."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dynsparse import ops
from tests.ops import reference

EPS = float(np.finfo(np.float32).eps)
SIZES = (1, 2, 3, 17, 128)  # each is one compilation
TEMPERATURES = (1e-4, 1e-3, 0.01, 0.03, 0.1, 0.5, 1.0, 3.0, 10.0)
KINDS = ("normal", "equal", "two_valued", "sorted", "reversed", "narrow", "wide")


def draw_scores(kind, n, seed):
    x = np.random.default_rng(seed).normal(size=n)
    changed = dict(
        normal=x,
        equal=np.full(n, 0.7),
        two_valued=np.where(x > 0, 1.0, -1.0),
        sorted=np.sort(x),
        reversed=np.sort(x)[::-1],
        narrow=1 + 1e-6 * x,
        wide=30 * x,
    )[kind]
    return changed.astype(np.float32)


@st.composite
def cases(draw):
    n = draw(st.sampled_from(SIZES))
    k = draw(
        st.one_of(
            st.sampled_from([0.0, 1e-3, 0.5, n / 2, n - 0.5, n - 1e-3, float(n)]),
            st.integers(0, n).map(float),
        )
    )
    temperature = draw(st.sampled_from(TEMPERATURES))
    kind = draw(st.sampled_from(KINDS))
    seed = draw(st.integers(0, 1000))
    k = float(np.float32(min(k, n)))
    return draw_scores(kind, n, seed), k, float(np.float32(temperature))


thorough = settings(deadline=None, max_examples=120, derandomize=True)


@jax.jit
def mask_of(scores, k, temperature):
    return ops.soft_topk_mask(scores, k, temperature)


@jax.jit
def gradients_of(scores, k, temperature, cotangent):
    loss = lambda *arguments: cotangent @ ops.soft_topk_mask(*arguments)
    return jax.grad(loss, (0, 1, 2))(scores, k, temperature)


def mask(scores, k, temperature):
    scores = jnp.asarray(scores, jnp.float32)
    return np.asarray(mask_of(scores, np.float32(k), np.float32(temperature)))


def slope_sum(scores, temperature, m):
    return float((np.float64(m) * (1 - np.float64(m))).sum() / temperature)


def tolerance(scores, k, temperature, m):
    """Floor of float32: the threshold's last place times the slope of the sum."""
    spread = float(np.abs(scores - scores.max()).max()) + temperature * 20
    return (
        4 * EPS * (spread * slope_sum(scores, temperature, m) + len(m) ** 0.5 * k + 1)
    )


@thorough
@given(cases())
def test_mask_sums_to_k(case):
    scores, k, temperature = case
    m = mask(*case)
    assert abs(np.float64(m).sum() - k) <= tolerance(scores, k, temperature, m)


@thorough
@given(cases())
def test_entries_are_probabilities_in_the_order_of_the_scores(case):
    m = mask(*case)
    assert ((m >= 0) & (m <= 1)).all()
    assert (np.diff(m[np.argsort(case[0], kind="stable")]) >= 0).all()


@thorough
@given(cases())
def test_mask_matches_the_float64_reference(case):
    scores, k, temperature = case
    m = mask(*case)
    expected, *_ = reference.soft_topk(scores, k, temperature)
    # A last-place error of u moves the mask by at most a quarter of it.
    spread = np.abs(scores - scores.max()).max() / temperature + 20
    np.testing.assert_allclose(m, expected, atol=2 * EPS * spread + 2 * EPS, rtol=0)


@thorough
@given(cases())
def test_mask_is_equivariant_to_permutations(case):
    scores, k, temperature = case
    order = np.random.default_rng(0).permutation(len(scores))
    m, expected = mask(scores[order], k, temperature), mask(*case)[order]
    # Sums of another order move the threshold by its last places.
    spread = np.abs(scores - scores.max()).max() / temperature + 20
    np.testing.assert_allclose(m, expected, atol=2 * EPS * spread)


@thorough
@given(cases(), st.sampled_from([-1e8, -64.0, 1024.0, 1e8]))
def test_mask_does_not_change_with_a_shift(case, shift):
    scores, k, temperature = case
    scores = (scores + np.float32(shift)) - np.float32(shift)  # representable after it
    moved = mask(scores + np.float32(shift), k, temperature)
    np.testing.assert_array_equal(moved, mask(scores, k, temperature))


@thorough
@given(cases(), st.sampled_from([0.25, 2.0, 1024.0]))
def test_scaling_scores_and_temperature_together_changes_nothing(case, scale):
    scores, k, temperature = case
    scaled = mask(scores * np.float32(scale), k, temperature * scale)
    np.testing.assert_array_equal(scaled, mask(*case))  # powers of two are exact


@thorough
@given(cases())
def test_mask_of_negated_scores_is_the_complement(case):
    scores, k, temperature = case
    k = float(np.float32(len(scores) - np.float32(len(scores) - k)))
    flipped = mask(-scores, len(scores) - k, temperature)
    spread = np.abs(scores - scores.max()).max() / temperature + 20
    np.testing.assert_allclose(
        flipped, 1 - mask(scores, k, temperature), atol=4 * EPS * spread
    )


@thorough
@given(cases(), st.floats(0, 1, width=32))
def test_masks_are_nested_in_k(case, fraction):
    scores, k, temperature = case
    less = mask(scores, k * fraction, temperature)
    spread = np.abs(scores - scores.max()).max() / temperature + 20
    assert (less <= mask(*case) + 2 * EPS * spread).all()


@thorough
@given(cases())
def test_derivative_by_k_is_a_distribution(case):
    weights = jax.jacfwd(mask_of, 1)(
        case[0], jnp.float32(case[1]), jnp.float32(case[2])
    )
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(), 1, atol=1e-5)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_none_and_all_are_exact(n, temperature):
    scores = draw_scores("wide", n, 0)
    np.testing.assert_array_equal(mask(scores, 0, temperature), np.zeros(n))
    np.testing.assert_array_equal(mask(scores, n, temperature), np.ones(n))


@pytest.mark.parametrize("temperature", [1e-4, 0.01, 1.0])
@pytest.mark.parametrize("k", [0.0, 0.5, 1000.5, 4095.0, 4096.0])
def test_long_rows_match_the_reference_and_sum_to_k(k, temperature):
    scores = draw_scores("normal", 4096, 7)
    m = mask(scores, k, temperature)
    expected, *_ = reference.soft_topk(scores, k, float(np.float32(temperature)))
    spread = np.abs(scores - scores.max()).max() / temperature + 20
    np.testing.assert_allclose(m, expected, atol=2 * EPS * spread + 2 * EPS)
    assert abs(np.float64(m).sum() - k) <= tolerance(scores, k, temperature, m)


def plateau_tolerance(scores, temperature):
    """Relative error of exp(-|u|) that a last-place error of the threshold makes."""
    return 1e-4 + 16 * EPS * float(np.abs(scores).max()) / temperature


@thorough
@given(cases())
def test_gradients_match_the_float64_closed_form(case):
    scores, k, temperature = case
    relative = plateau_tolerance(scores - scores.max(), temperature)
    assume(relative < 0.1)  # else float32 cannot represent the threshold finely enough
    cotangent = np.cos(np.arange(len(scores), dtype=np.float32))
    found = gradients_of(scores, np.float32(k), np.float32(temperature), cotangent)
    expected = reference.gradients(scores, k, temperature, cotangent)
    _, _, slope = reference.soft_topk(scores, k, temperature)
    for by, (value, right) in enumerate(zip(found, expected, strict=True)):
        scale = (1.0, 1.0, 20.0)[by] * (1.0 if by == 1 else slope.max() + 1e-30)
        np.testing.assert_allclose(value, right, rtol=relative, atol=relative * scale)


# The plateau hazard: between the k-th and the next score every entry rounds to 0 or 1,
# and a float32 sum is flat. The derivative by k still knows where the threshold is.
@pytest.mark.parametrize("temperature", [1.0, 0.1, 0.03, 0.02, 0.01, 0.003, 1e-3])
def test_threshold_is_right_where_the_sum_is_flat(temperature):
    scores = np.array([3.0, 2.1, 1.9, 1.0, 0.2, -0.4], np.float32)
    cotangent = np.array([0, 0, 1, 0, 0, 0], np.float32)
    _, by_k, _ = gradients_of(scores, np.float32(3), np.float32(temperature), cotangent)
    _, weights, _ = reference.soft_topk(scores, 3, float(np.float32(temperature)))
    np.testing.assert_allclose(by_k, weights[2], rtol=8 * EPS * 3 / temperature + 1e-5)


@thorough
@given(cases())
def test_scores_cannot_drift_together(case):
    scores, k, temperature = case
    cotangent = np.sin(1 + np.arange(len(scores), dtype=np.float32))
    gradient, *_ = gradients_of(
        scores, np.float32(k), np.float32(temperature), cotangent
    )
    total = np.float64(gradient).sum()
    bound = np.abs(np.float64(gradient)).sum() + np.abs(cotangent).sum() / temperature
    assert abs(total) <= 8 * EPS * bound


@jax.jit
def jacobian_of(scores, k, temperature):
    return jax.jacrev(ops.soft_topk_mask)(scores, k, temperature)


@pytest.mark.parametrize("temperature", [0.03, 0.3, 3.0])
@pytest.mark.parametrize("k", [0.0, 1e-3, 2.0, 8.5, 17.0])
def test_jacobian_is_a_graph_laplacian(k, temperature):
    scores = draw_scores("normal", 17, 3)
    jacobian = np.asarray(jacobian_of(scores, np.float32(k), np.float32(temperature)))
    *_, slope = reference.soft_topk(scores, k, temperature)
    size = slope.max()  # entries are differences of slopes
    near = 64 * EPS * size  # exp of a log slope of size L errs by L last places
    np.testing.assert_allclose(jacobian, jacobian.T, atol=near)
    np.testing.assert_allclose(jacobian.sum(-1), 0, atol=near)
    assert np.linalg.eigvalsh(np.float64(jacobian + jacobian.T)).min() >= -1e-5 * size
    assert (jacobian - np.diag(np.diag(jacobian)) <= 0).all()


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("k", [0.5, 3.0])
def test_forward_and_reverse_mode_agree(k, temperature, key):
    scores = draw_scores("normal", 17, 4)
    arguments = (scores, jnp.float32(k), jnp.float32(temperature))
    v = (jax.random.normal(key, (17,)), jnp.float32(0.3), jnp.float32(-0.2))
    w = jnp.cos(jnp.arange(17.0))
    _, forward = jax.jvp(ops.soft_topk_mask, arguments, v)
    _, pull = jax.vjp(ops.soft_topk_mask, *arguments)
    back = sum(jnp.vdot(a, b) for a, b in zip(pull(w), v, strict=True))
    np.testing.assert_allclose(jnp.vdot(forward, w), back, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("argument", [0, 1, 2])
def test_second_derivatives_match_finite_differences(argument):
    with jax.enable_x64(True):
        scores = jnp.asarray(draw_scores("normal", 5, 5), jnp.float64)
        point = [scores, jnp.float64(2.3), jnp.float64(0.7)]
        weights = jnp.cos(jnp.arange(5.0))
        loss = lambda *p: weights @ ops.soft_topk_mask(*p)
        slope = lambda *p: jax.grad(loss, argument)(*p).sum() + jax.grad(loss)(*p)[0]
        step = 1e-5
        exact = jax.grad(slope, argument)(*point)
        for index in np.ndindex(np.shape(point[argument])):
            shift = jnp.zeros_like(point[argument]).at[index].set(step)
            above, below = list(point), list(point)
            above[argument], below[argument] = (
                point[argument] + shift,
                point[argument] - shift,
            )
            difference = (slope(*above) - slope(*below)) / (2 * step)
            np.testing.assert_allclose(exact[index], difference, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("k", [0.0, 3.0, 6.0])
def test_second_derivatives_are_finite_where_all_entries_saturate(k):
    loss = lambda s: ops.soft_topk_mask(s, k, 1e-3) @ jnp.cos(jnp.arange(6.0))
    assert jnp.isfinite(jax.hessian(loss)(jnp.arange(6.0))).all()


@thorough
@given(
    st.sampled_from((2, 3, 17, 128)), st.integers(0, 50), st.sampled_from(TEMPERATURES)
)
def test_mask_approaches_the_hard_one_within_the_bound(n, seed, temperature):
    scores = draw_scores("normal", n, seed)
    k = 1 + seed % (n - 1)
    ordered = np.sort(scores)[::-1]
    gap = float(ordered[k - 1] - ordered[k])
    hard = scores >= ordered[k - 1]
    error = np.abs(mask(scores, k, temperature) - hard).max()
    bound = np.sqrt(k * (n - k)) * np.exp(-gap / (2 * temperature))
    assert error <= bound + 1e-6


@pytest.mark.parametrize("k", [1.0, 4.5, 12.0])
def test_mask_becomes_uniform_at_high_temperature(k):
    scores = draw_scores("normal", 17, 0)
    np.testing.assert_allclose(mask(scores, k, 1e6), np.full(17, k / 17), rtol=1e-5)


HARD_INPUTS = {
    "ties": [1, 1, 1, 0, -1, 2],
    "one_forbidden": [1, -np.inf, 3, 0, 2, -2],
    "one_certain": [1, np.inf, 3, 0, 2, -2],
    "both": [-np.inf, np.inf, 3, 0, 2, -2],
    "forbidden_but_two": [-np.inf, -np.inf, 3, -np.inf, 2, -np.inf],
    "all_forbidden": [-np.inf] * 6,
    "all_certain": [np.inf] * 6,
    "offset": [1e8, 1e8 + 8, 1e8 - 8, 1e8, 1e8, 1e8],
    "tiny_spread": [1e-8, 2e-8, 3e-8, 0, -1e-8, -2e-8],
    "huge": [1e30, -1e30, 0, 1, 2, 3],
}


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("name", HARD_INPUTS)
def test_nothing_is_nan(name, x64):
    with jax.enable_x64(x64):
        dtype = jnp.float64 if x64 else jnp.float32
        row = jnp.asarray(np.array(HARD_INPUTS[name]), dtype)
        grid = list(itertools.product((0, 1e-3, 2, 2.5, 5.999, 6), TEMPERATURES))
        k, temperature = (
            jnp.asarray(column, dtype) for column in zip(*grid, strict=True)
        )
        rows = jnp.broadcast_to(row, (len(grid), 6))
        weights = jnp.cos(jnp.arange(6, dtype=dtype))
        loss = lambda *p: (mask_rows(*p) @ weights).sum()
        mask_rows = jax.vmap(ops.soft_topk_mask)
        value, gradient = jax.jit(
            lambda *p: (mask_rows(*p), jax.grad(loss, (0, 1, 2))(*p))
        )(rows, k, temperature)
        for array in (value, *gradient):
            assert jnp.isfinite(array).all()


@pytest.mark.parametrize("k", [1.0, 2.0, 3.5])
def test_infinite_scores_forbid_and_decide(k):
    m = mask(np.array([-np.inf, np.inf, 3, 0, 2, -2], np.float32), k, 0.5)
    assert m[0] == 0
    assert m[1] == 1
    np.testing.assert_allclose(m[2:], mask([3.0, 0, 2, -2], k - 1, 0.5), rtol=1e-5)


def test_nan_scores_spoil_their_row_alone():
    scores = np.array([[1, np.nan, 2], [1, 0, 2]], np.float32)
    m = np.asarray(ops.soft_topk_mask(jnp.asarray(scores), 2, 1.0))
    assert np.isnan(m[0]).all()
    np.testing.assert_allclose(m[1].sum(), 2, rtol=1e-6)


def test_debug_nans_finds_none():
    with jax.debug_nans(True):
        scores = jnp.asarray(draw_scores("wide", 17, 0))
        for k in (0.0, 3.0, 17.0):
            gradient = jax.grad(lambda s, k=k: ops.soft_topk_mask(s, k, 1e-3)[0])(
                scores
            )
            assert jnp.isfinite(gradient).all()


def test_one_compilation_serves_every_k_and_temperature():
    traces = 0

    @jax.jit
    def apply(scores, k, temperature):
        nonlocal traces
        traces += 1
        return ops.soft_topk_mask(scores, k, temperature)

    for k, temperature in itertools.product((0.0, 2.5, 6.0), (0.1, 1.0)):
        apply(jnp.arange(6.0), jnp.float32(k), jnp.float32(temperature))
    assert traces == 1


def test_each_row_has_its_own_k_and_temperature():
    scores = jnp.stack([draw_scores("normal", 17, seed) for seed in range(3)])
    k, temperature = jnp.array([2, 5.5, 17]), jnp.array([0.1, 1, 3])
    together = ops.soft_topk_mask(scores, k, temperature)
    alone = [mask(*row) for row in zip(scores, k, temperature, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_gradient_survives_checkpoint_and_shard_map():
    scores = jnp.stack([draw_scores("normal", 17, seed) for seed in range(4)])
    loss = lambda s: jnp.square(ops.soft_topk_mask(s, 3.0, 0.5)).sum()
    plain = jax.grad(loss)(scores)
    np.testing.assert_allclose(jax.grad(jax.checkpoint(loss))(scores), plain, rtol=1e-6)

    mesh = jax.make_mesh((2,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec
    total = jax.shard_map(
        lambda s: jax.lax.psum(loss(s), "d"),
        mesh=mesh,
        in_specs=spec("d"),
        out_specs=spec(),
    )
    np.testing.assert_allclose(jax.grad(total)(scores), plain, rtol=1e-5, atol=1e-7)


def test_bfloat16_is_computed_in_float32():
    scores = jnp.asarray(draw_scores("normal", 128, 0), jnp.bfloat16)
    m = ops.soft_topk_mask(scores, 40, 0.1)
    assert m.dtype == jnp.bfloat16
    expected = ops.soft_topk_mask(scores.astype(jnp.float32), 40, 0.1)
    np.testing.assert_array_equal(m, expected.astype(jnp.bfloat16))


@pytest.mark.parametrize(
    ("k", "temperature"), [(-1, 1.0), (7, 1.0), (3, 0.0), (3, -1.0)]
)
def test_values_out_of_range_are_named(k, temperature):
    with pytest.raises(ValueError, match=r"needs (k in \[0, 6\]|temperature > 0), got"):
        ops.soft_topk_mask(jnp.arange(6.0), k, temperature)


def test_traced_k_out_of_range_is_clipped():
    apply = jax.jit(lambda k: ops.soft_topk_mask(jnp.arange(6.0), k))
    np.testing.assert_array_equal(apply(jnp.float32(9)), np.ones(6))
    np.testing.assert_array_equal(apply(jnp.float32(-2)), np.zeros(6))
