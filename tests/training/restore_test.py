"""A restored run: raw images are answered as the run answered them, or refused."""

import json
import shutil
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsparse import training
from dynsparse.training.averages import at_densities
from dynsparse.training.evaluation import compile_forward, evaluate
from tests.training import tiny


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A file of images whose pixels are far from mean 0 and deviation 1."""
    rng = np.random.default_rng(0)
    draw = lambda n: rng.integers(150, 256, (n, 28, 28, 1), np.uint8)
    path = tmp_path_factory.mktemp("data") / "images.npz"
    labels = lambda n: np.arange(n) % 10
    np.savez(
        path, x_train=draw(80), y_train=labels(80), x_test=draw(40), y_test=labels(40)
    )
    return dict(
        name="npz_images",
        path=str(path),
        validation_fraction=0.25,
        seed=0,
        shift=0,
        flip=False,
    )


@pytest.fixture(scope="module")
def workdir(images, tmp_path_factory):
    config = tiny.config(train__num_steps=3, optimizer__learning_rate=1e-2)
    config["data"] = images
    workdir = tmp_path_factory.mktemp("run")
    training.train(training.prepare(config), workdir)
    (workdir / "config.json").write_text(json.dumps(config))
    return workdir


@pytest.mark.parametrize("density", [None, 0.25])
def test_raw_images_are_answered_as_in_evaluation(workdir, density):
    run = training.restore(str(workdir))
    experiment, state = run
    test = experiment.dataset.test
    expected = evaluate(
        compile_forward(experiment.trainer),
        at_densities(experiment, state, [density])[density],
        test,
        batch_size=len(test),
        density=density,
    )
    answered = np.asarray(run(test.images, density=density)).argmax(-1)
    np.testing.assert_array_equal(answered, expected.predictions)
    assert (answered == test.labels).mean() == expected.accuracy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x / np.float32(255), "images must be uint8, from 0 to 255, got fl"),
        (lambda x: x[..., 0], r"images must be \[n, 28, 28, 1\], got \[40, 28, 28\]"),
    ],
    ids=["scaled already", "without a channel"],
)
def test_other_images_are_refused(workdir, change, message, as_users_call):
    run = training.restore(workdir)
    with pytest.raises(ValueError, match=message):
        run(change(run.prepared.dataset.test.images))


def test_a_density_out_of_range_is_refused(workdir):
    run = training.restore(workdir)
    with pytest.raises(ValueError, match=r"density must be in \[0, 1\], got 2"):
        run(run.prepared.dataset.test.images, density=2.0)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A module outside the library that notes when its code runs."""
    mark = tmp_path / "ran"
    code = f"import pathlib; pathlib.Path({str(mark)!r}).touch()"
    (tmp_path / "elsewhere.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    yield mark
    sys.modules.pop("elsewhere", None)


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config["gate"].update(name="elsewhere:HardTopk"),
        lambda config: config["data"].update(name="elsewhere:Data"),
        lambda config: config.update(penalties={"elsewhere:Density": {}}),
        lambda config: config["model"].update(pathway=[dict(name="elsewhere:X")]),
    ],
    ids=["a gate", "data", "a penalty by its key", "deep inside"],
)
def test_no_code_runs_that_a_folder_names(change, workdir, elsewhere, tmp_path):
    run = shutil.copytree(workdir, tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    change(config)
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"config.json names code .*'elsewhere:.*--tr"):
        training.restore(run)
    assert not elsewhere.exists()


def test_code_that_a_folder_names_runs_where_it_is_trusted(
    workdir, elsewhere, tmp_path
):
    run = shutil.copytree(workdir, tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    config["gate"]["name"] = "elsewhere:Nothing"
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="cannot load 'elsewhere:Nothing'"):
        training.restore(run, trust=True)
    assert elsewhere.exists()


def test_training_sees_what_evaluation_sees(images):
    """Were a step to take raw pixels, its first loss would be another."""
    config = tiny.config("dense")
    config["data"] = images
    experiment = training.prepare(config)
    pixels, labels = experiment.batches[0]
    state = experiment.initial_state
    model = experiment.trainer.model(state)
    logits = model(experiment.dataset.inputs(jnp.asarray(pixels)))
    shifted = logits - logits.max(-1, keepdims=True)
    logs = shifted - jnp.log(jnp.exp(shifted).sum(-1, keepdims=True))
    expected = -logs[np.arange(len(labels)), labels].mean()
    _, metrics = jax.jit(experiment.trainer.step)(state, pixels, labels)
    np.testing.assert_allclose(metrics["cross_entropy"], expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["conv_vit", "vit", "mixer", "resnet"])
def test_a_bare_model_refuses_raw_images(name, as_users_call):
    config = tiny.config(f"dense,{name}")
    experiment = training.prepare(config)
    model = experiment.trainer.model(experiment.initial_state)
    with pytest.raises(ValueError, match=r"takes floats, got uint8.*`inputs`"):
        model(jnp.asarray(experiment.dataset.test.images[:1]))
