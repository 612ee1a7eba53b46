"""Every model trains on the task."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import configs
from dynsparse import training
from dynsparse.gates import records
from dynsparse.models.base.heads import Features
from dynsparse.training.evaluation.curve import trace_curve
from dynsparse.training.evaluation.evaluate import evaluate
from dynsparse.training.evaluation.forward import compile_forward
from dynsparse.training.evaluation.norms import at_densities
from tests.sampled import sampled
from tests.training import tiny

MODELS = sorted(n for n, row in configs.MODELS.items() if row.reads == "images")


@pytest.fixture(scope="module", params=sampled(MODELS, ["conv_vit", "resnet"]))
def prepared(request):
    return tiny.prepared(f"soft_topk,{request.param}")


def test_every_model_has_a_step_on_the_task(prepared):
    state, batch = prepared.initial_state, prepared.batches[0]
    after, metrics = jax.eval_shape(prepared.trainer.step, state, batch)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert metrics["density"].shape == ()


def test_every_model_leaves_what_its_head_reads(prepared):
    trainer, state = prepared.trainer, prepared.initial_state

    def read(images):
        return records(nnx.capture(trainer.model(state), Features)(images)[1], Features)

    images = jnp.zeros((3, 28, 28, 1))
    ((name, features),) = jax.eval_shape(read, images).items()
    assert name in ("", "head")
    assert features.shape[0] == 3
    assert features.ndim == 2


def test_a_bare_model_refuses_raw_images(prepared, as_users_call):
    model = prepared.trainer.model(prepared.initial_state)
    with pytest.raises(ValueError, match=r"takes floats, got uint8.*`inputs`"):
        model(jnp.asarray(prepared.task.test.arrays["image"][:1]))


def test_a_whole_run_of_a_model_with_running_averages(tmp_path):
    config = tiny.config("gumbel_sigmoid,resnet", model__depth=8, model__width=8)
    config["model"] |= dict(granularity="exits", tile=0)
    config["scorer"] = dict(name="confidence", threshold=0.5, sharpness=10.0)
    config["gate_optimizer"]["weight_decay"] = 0.0  # numbers do not decay
    experiment = training.prepare(config)
    before = experiment.initial_state["variables"]["stem"]["norm"]["mean"].copy()
    state = training.train(experiment, tmp_path)
    assert (state["variables"]["stem"]["norm"]["mean"] != before).any()
    result = training.finish(experiment, state, tmp_path, config, "resnet")
    assert json.loads((tmp_path / "result.json").read_text()) == result
    (point,) = result["curve"]
    assert 0 < point["budget"] <= 1.01
    assert set(point["layers"]) == {"body/rest/0", "body/rest/1"}


def test_the_balance_of_experts_is_part_of_the_loss():
    plain = tiny.config("gumbel_sigmoid", model__granularity="experts")
    balance = dict(load_balance=dict(form="load", weight=10.0))
    penalties = plain["budget"]["penalties"] | balance
    balanced = plain | dict(budget=plain["budget"] | dict(penalties=penalties))

    def loss(config):
        experiment = training.prepare(config)
        state, batch = experiment.initial_state, experiment.batches[0]
        step = experiment.trainer.step  # of which only the loss is compiled
        return float(jax.jit(lambda *given: step(*given)[1]["loss"])(state, batch))

    assert loss(balanced) > loss(plain) + 9.9


def test_points_of_a_curve_answer_by_the_averages_of_their_density():
    config = tiny.config("soft_topk,resnet", model__depth=8, model__width=8)
    experiment = training.prepare(config)
    state, split = experiment.initial_state, experiment.task.test
    points = trace_curve(experiment, state, split)
    forward = compile_forward(experiment.trainer)
    states = at_densities(experiment, state, experiment.densities)
    for (density, own), point in zip(states.items(), points, strict=True):
        answers = evaluate(forward, experiment, own, split, density=density, shows=3)
        found, expected = point.answers.shown[0], answers.shown[0]
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    means = [states[density]["variables"]["body"]["layers"] for density in (1.0, 0.25)]
    assert any(
        (one != other).any()
        for one, other in zip(*map(jax.tree.leaves, means), strict=True)
    )
