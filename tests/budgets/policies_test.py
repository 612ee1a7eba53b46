"""What budget policies say to a training, each by itself."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import configs
from dynsparse import gates
from dynsparse.budgets import Policy, controllers, find_shift, penalties, policies
from tests.budgets.usages import usage

KEY, START = jax.random.key(0), jnp.float32(0)


def build(row, **changes):
    section = configs.BUDGETS[row].get_config().to_dict()
    return policies.from_config(section | changes)


def test_every_policy_controller_penalty_and_sampling_has_a_row_of_configs():
    rows = [row.get_config().to_dict() for row in configs.BUDGETS.values()]
    assert {row["name"] for row in rows} == set(policies.available())
    named = lambda key: {row[key]["name"] for row in rows if key in row}
    assert named("controller") == set(controllers.available())
    assert named("sampling") == {"log_uniform", "sandwich", "uniform"}
    found = {name for row in rows for name in row["penalties"]}
    assert found == set(penalties.available())


@pytest.mark.parametrize("name", configs.BUDGETS)
def test_a_step_has_the_densities_of_its_passes(name):
    policy = build(name)
    densities = policy.densities(KEY, START)
    if densities is None:
        assert policy.passes == 1
    else:
        assert densities.shape == (policy.passes,)
        assert (densities >= policy.lowest).all()


@pytest.mark.parametrize("name", ["fixed", "log_uniform", "sandwich"])
def test_a_ramp_opens_everything_at_first(name):
    ramp = dict(form="linear", start=0.0, until=0.5)
    policy = build(name, ramp=ramp)
    np.testing.assert_array_equal(policy.densities(KEY, START), 1)
    late = policy.densities(KEY, jnp.float32(0.75))
    plain = build(name).densities(KEY, START)
    np.testing.assert_allclose(late, 0.5 if plain is None else plain, rtol=1e-6)


def test_a_ramp_of_a_target_prices_nothing_at_first():
    ramp = dict(form="linear", start=0.0, until=0.5)
    policy = build("dual_ascent", ramp=ramp, target=0.2)
    spends = usage(dict(a=[[0.6]]), progress=0.25)  # where the target is .6
    _, state, _ = policy.loss(policy.init(), spends, None)
    np.testing.assert_allclose(state["controller"]["weight"], 0, atol=1e-6)
    _, state, _ = policy.loss(policy.init(), usage(dict(a=[[0.6]])), None)
    np.testing.assert_allclose(state["controller"]["weight"][0], 0.15 * 0.4, rtol=1e-5)


def test_weights_are_numbers_of_the_state_alone():
    light, heavy = (
        build("usage_l1", penalties=dict(usage_l1=dict(target=0.5, weight=weight)))
        for weight in (1.0, 3.0)
    )
    assert light != heavy
    assert light.without_weights() == heavy.without_weights()
    assert hash(light.without_weights()) == hash(heavy.without_weights())
    batch = usage(dict(a=[[0.9]]))
    for program in (light, heavy):  # either computes the other's
        for policy, expected in ((light, 0.4), (heavy, 1.2)):
            added, _, _ = program.loss(policy.init(), batch, None)
            np.testing.assert_allclose(added, expected, rtol=1e-5)


def test_penalties_go_with_any_policy():
    balance = dict(load_balance=dict(form="load", weight=2.0))
    batch = usage(dict(a=[[0.9, 0.1]]))
    expected = penalties.from_config(
        dict(name="load_balance", form="load", weight=2.0)
    )(batch)
    for row in ("fixed", "sandwich", "free"):
        policy = build(row, penalties=balance)
        np.testing.assert_allclose(policy.loss(policy.init(), batch, None)[0], expected)


def test_a_controller_sees_what_evaluation_spends():
    policy = build("dual_ascent", target=0.5)
    batch = usage(dict(a=[[0.7]]))
    added, state, metrics = policy.loss(policy.init(), batch, jnp.float32(0.9))
    assert added == 0
    np.testing.assert_allclose(metrics["budget_gap"], 0.2, rtol=1e-5)
    np.testing.assert_allclose(state["controller"]["weight"][0], 0.15 * 0.4, rtol=1e-5)
    _, after, _ = policy.loss(state, batch, jnp.float32(jnp.nan))  # not measured
    np.testing.assert_allclose(after["gap"], state["gap"])


@pytest.mark.parametrize(
    ("step", "progress", "due"), [(5, 0.5, True), (6, 0.5, False), (5, 0.3, False)]
)
def test_evaluation_is_measured_where_it_is_time(step, progress, due):
    policy = build("pi_controller")
    evaluate = lambda: usage(dict(a=[[1.0]]))
    measured = policy.measure(jnp.int32(step), jnp.float32(progress), evaluate)
    np.testing.assert_array_equal(measured, 1.0 if due else jnp.nan)
    assert build("mac_target").measure(jnp.int32(5), jnp.float32(0.5), evaluate) is None


def test_only_what_is_constrained_ends_with_a_shift():
    spends = lambda shift: 0.5 + shift / 100
    assert build("mac_target").finish(spends) is None
    assert build("pi_controller", calibrate=False).finish(spends) is None
    shift = build("pi_controller", target=0.6).finish(spends)
    assert shift == find_shift(spends, 0.6) == 10.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Halving(Policy):
    """Of a user: two passes, each at half of the density before it."""

    first: float

    @property
    def passes(self):
        return 2

    def gate_keys(self, gate):
        return dict(density=self.first)

    def densities(self, key, progress):
        return jnp.array([self.first, self.first / 2])


def test_a_policy_from_outside_the_library_plugs_in_by_name():
    name = f"{__name__}:Halving"
    policy = policies.from_config(dict(name=name, first=0.5))
    np.testing.assert_array_equal(policy.densities(KEY, START), [0.5, 0.25])
    assert policy.gate_keys(gates.find("soft_topk")) == dict(density=0.5)
    with pytest.raises(ValueError, match="Halving has no key 'second'; accepted"):
        policies.from_config(dict(name=name, first=0.5, second=1.0))
