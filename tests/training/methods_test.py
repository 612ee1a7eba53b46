"""Every method trains; what methods add to a step does what it says."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import configs
from configs import cluttered_digits
from dynsparse import gates, training
from dynsparse.budgets import Usage
from dynsparse.data import Arrays, Splits
from dynsparse.gates import GateOutput
from dynsparse.tasks import images
from dynsparse.training.annealing import TemperatureSchedule
from dynsparse.training.losses import objective
from tests.sampled import sampled
from tests.training import tiny

METHODS = sorted(configs.METHODS)
TRAINED = {cluttered_digits.get_config(method).gate.name for method in METHODS}


def step(method, **changes):
    """One step of a tiny run: the trainer, the state before and after, the metrics."""
    experiment = training.prepare(tiny.config(method, **changes))
    before = experiment.initial_state
    after, metrics = jax.jit(experiment.trainer.step)(before, experiment.batches[0])
    return experiment.trainer, before, after, metrics


def moved(before, after, part):
    """Whether any leaf below `part` differs."""
    pairs = zip(
        jax.tree_util.tree_leaves_with_path(before["params"]),
        jax.tree.leaves(after["params"]),
        strict=True,
    )
    return any(
        bool((old != new).any())
        for (path, old), new in pairs
        if part in {getattr(entry, "key", None) for entry in path}
    )


def test_every_gate_has_a_method():
    assert set(gates.available()) == TRAINED


# Of each form of training one; that all of them are prepared is tested with their keys.
FORMS = ("dense", "disarm", "ema_threshold", "magnitude", "random_topk", "reinforce")


@pytest.mark.parametrize("method", sampled(METHODS, FORMS))
def test_every_method_has_a_step_on_the_task(method):
    experiment = training.prepare(tiny.config(method))
    state, batch = experiment.initial_state, experiment.batches[0]
    after, metrics = jax.eval_shape(experiment.trainer.step, state, batch)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert all(value.shape == () for value in metrics.values())


TAUGHT = ("disarm", "learned_threshold", "soft_topk", "static")
UNTAUGHT = ("hard_topk",)


@pytest.mark.parametrize(
    "method", sampled([*TAUGHT, *UNTAUGHT], ["disarm", "soft_topk", *UNTAUGHT])
)
def test_a_step_teaches_the_scorer_of_a_gate_that_learns(method):
    changes = dict(optimizer__warmup_steps=0, gate_optimizer__weight_decay=0.0)
    if "sampling" in tiny.config(method)["budget"]:
        changes["budget__sampling__full"] = 0.0
    _, before, after, metrics = step(method, **changes)
    assert all(np.isfinite(value) for value in metrics.values())
    assert moved(before, after, "host")
    assert moved(before, after, "scorer") == (method in TAUGHT)


@pytest.mark.parametrize(
    "method", sampled(["reinforce", "ema_threshold"], ["reinforce"])
)
def test_a_whole_run_of_an_unusual_method(method, tmp_path):
    config = tiny.config(method)
    experiment = training.prepare(config)
    state = training.train(experiment, tmp_path)
    result = training.finish(experiment, state, tmp_path, config, method)
    assert json.loads((tmp_path / "result.json").read_text()) == result
    assert all(0 < point["budget"] <= 1.2 for point in result["curve"])


SOURCE = Arrays(dict(image=np.zeros((1, 2, 2, 1), np.uint8), label=np.zeros(1, int)))
TASK = images.make(
    Splits(train=SOURCE, validation=SOURCE, test=SOURCE, facts=dict(num_classes=5))
)


def test_passes_of_a_step_are_averaged_and_the_surrogate_leaves_the_loss():
    logits = jax.random.normal(jax.random.key(0), (3, 4, 5))
    labels = jnp.array([0, 1, 2, 3])
    gate = gates.from_config(dict(name="reinforce", samples=3), rngs=nnx.Rngs(0))
    scores = jax.random.normal(jax.random.key(1), (4, 6))
    mask = jax.random.bernoulli(jax.random.key(2), 0.5, (3, 4, 6)).astype(jnp.float32)

    def loss(scores):
        prob = jnp.broadcast_to(jax.nn.sigmoid(scores), mask.shape)
        record = GateOutput(mask, prob)
        usage = Usage(
            decisions=dict(x=record),
            prices=dict(x=(np.array([0.0, 1.0]), np.array([0.0, 1.0]))),
            floor=0.0,
            progress=0.0,
        )
        return objective(TASK, logits, dict(label=labels), usage, dict(x=gate))

    both = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (value, metrics), gradient = both(scores)
    rows = jnp.broadcast_to(labels, (3, 4))
    losses = optax.losses.softmax_cross_entropy_with_integer_labels(logits, rows)
    np.testing.assert_allclose(value, losses.mean(), rtol=1e-6)
    np.testing.assert_allclose(metrics["task_loss"], losses.mean(), rtol=1e-6)
    # Each loss less the mean of the others, and the mean over 3 passes.
    advantage = (losses - losses.mean(0, keepdims=True)) / 2
    score = mask - jax.nn.sigmoid(scores)[None]
    expected = (advantage[..., None] * score).sum(0) / 4
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_antithetic_passes_of_a_step_share_their_noise():
    experiment = training.prepare(tiny.config("disarm"))
    trainer, before = experiment.trainer, experiment.initial_state
    assert trainer.samples == 2
    batch = dict(image=jnp.zeros((4, 28, 28, 1), jnp.uint8))
    key = jax.random.key(3)
    run = lambda state, s: trainer._run(trainer.model(state), key, s, batch)[1]
    records = [jax.jit(run, static_argnums=1)(before, s) for s in (0, 1)]
    (first,), (second,) = (record.values() for record in records)
    np.testing.assert_array_equal(first.open_prob, second.open_prob)
    likely = (
        first.open_prob > 0.5
    )  # an antithetic pair opens each of them at least once
    assert ((first.mask + second.mask)[likely] >= 1).all()
    assert ((first.mask + second.mask)[~likely] <= 1).all()


def test_disarm_is_refused_where_gates_follow_gates():
    with pytest.raises(
        ValueError, match="Disarm learns in models with one gated layer"
    ):
        step("disarm", model__granularity="blocks", model__depth=2)


def test_reinforce_takes_gates_that_follow_gates():
    changes = dict(model__granularity="blocks", model__depth=2)
    _, before, after, _ = step("reinforce", optimizer__warmup_steps=0, **changes)
    assert moved(before, after, "scorer")


@pytest.mark.parametrize("start", [1.0, 5.0])
def test_temperature_falls_geometrically_from_the_gates_own(start):
    schedule = TemperatureSchedule(final=0.1, until=0.5)
    temperature, path = jnp.float32(start), []
    for number in range(12):
        path.append(float(temperature))
        temperature = schedule(temperature, jnp.int32(number), 20)
    expected = [start * (0.1 / start) ** min(n / 10, 1) for n in range(12)]
    np.testing.assert_allclose(path, expected, rtol=1e-5)


def test_steps_anneal_the_temperature_and_log_it():
    _, before, after, metrics = step("binary_concrete")
    read = lambda state: [
        float(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(state["variables"])
        if "temperature" in str(path)
    ]
    assert read(before) == [1.0]
    np.testing.assert_allclose(metrics["temperature"], 1.0)
    np.testing.assert_allclose(read(after), [0.3 ** (1 / (0.8 * 6))], rtol=1e-5)


def test_a_schedule_without_a_temperature_is_refused():
    schedule = dict(final=0.1, until=0.5)
    with pytest.raises(ValueError, match="temperature_schedule: the model has no gate"):
        training.prepare(tiny.config("dense", temperature_schedule=schedule))
