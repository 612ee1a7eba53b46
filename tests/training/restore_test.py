"""A restored run: raw images are answered as the run answered them, or refused."""

import json
import shutil
import sys

import jax
import numpy as np
import pytest

from dynsparse import training
from dynsparse.training.evaluation.evaluate import evaluate
from dynsparse.training.evaluation.forward import compile_forward
from dynsparse.training.evaluation.norms import at_densities
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
    )


@pytest.fixture(scope="module")
def workdir(images, tmp_path_factory):
    config = tiny.config(train__num_steps=3, optimizer__learning_rate=1e-2)
    config["data"] = images
    config["task"]["standardise"] = True
    workdir = tmp_path_factory.mktemp("run")
    training.train(training.prepare(config), workdir)
    return workdir


@pytest.mark.parametrize("density", [None, 0.25])
def test_raw_images_are_answered_as_in_evaluation(workdir, density):
    run = training.restore(str(workdir))
    experiment, state = run.prepared, run.state
    test = experiment.task.test
    expected = evaluate(
        compile_forward(experiment.trainer),
        experiment,
        at_densities(experiment, state, [density])[density],
        test,
        density=density,
        shows=len(test),
    )
    batch = test.read_batch(range(len(test)))
    answered = np.asarray(run(batch, density=density))
    np.testing.assert_allclose(answered, expected.shown[0], rtol=1e-3, atol=1e-4)
    assert (answered.argmax(-1) == batch["label"]).mean() == expected.score


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: dict(image=x / np.float32(255)), "image must be uint8, got float32"),
        (
            lambda x: dict(image=x[..., 0]),
            r"image must be \[n, 28, 28, 1\], got \[40, 2",
        ),
        (lambda x: dict(images=x), "have no 'images', but image, label"),
    ],
    ids=["scaled already", "without a channel", "misnamed"],
)
def test_other_images_are_refused(workdir, change, message, as_users_call):
    run = training.restore(workdir)
    with pytest.raises(ValueError, match=message):
        run(change(run.task.test.arrays["image"]))


def test_a_density_out_of_range_is_refused(workdir):
    run = training.restore(workdir)
    with pytest.raises(ValueError, match=r"density must be in \[0, 1\], got 2"):
        run(run.task.test.read_batch([0]), density=2.0)


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
        lambda config: config["budget"].update(penalties={"elsewhere:Density": {}}),
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


def test_a_model_is_restored_without_its_data(workdir, images, tmp_path):
    run = shutil.copytree(workdir, tmp_path / "run")
    answered = training.restore(run)
    config = json.loads((run / "config.json").read_text())
    config["data"]["path"] = "gone.npz"
    (run / "config.json").write_text(json.dumps(config))
    alone = training.restore(run)
    some = dict(image=np.load(images["path"])["x_test"][:4])
    np.testing.assert_array_equal(alone(some), answered(some))
    logits = jax.jit(lambda x: alone.model(x))(alone.task.inputs(some))
    np.testing.assert_allclose(logits, alone(some), rtol=1e-5, atol=1e-5)
    assert alone.config["data"]["path"] == "gone.npz"
    with pytest.raises(ValueError, match="no such file 'gone.npz'"):
        len(alone.task.train)


def test_without_facts_of_its_task_a_run_reads_its_data(workdir, tmp_path):
    run = shutil.copytree(workdir, tmp_path / "run")
    known = training.restore(run)
    some = known.task.test.read_batch(range(4))
    (run / "task.json").unlink()
    np.testing.assert_array_equal(training.restore(run)(some), known(some))


def test_a_curve_is_that_of_the_result(workdir, tmp_path):
    run = shutil.copytree(workdir, tmp_path / "run")
    restored = training.restore(run)
    with pytest.raises(ValueError, match="not the folder of a finished run"):
        len(restored.curve)
    result = training.finish(
        restored.prepared, restored.state, run, dict(restored.config), "tiny"
    )
    assert restored.curve == result["curve"]
    assert [point["density"] for point in restored.curve][0] == 1.0


def test_training_sees_what_evaluation_sees(images):
    """Were a step to take raw pixels, its first loss would be another."""
    config = tiny.config("dense")
    config["data"] = images
    config["task"]["standardise"] = True
    experiment = training.prepare(config)
    batch = experiment.batches[0]
    labels = batch["label"]
    state = experiment.initial_state
    trainer = experiment.trainer

    @jax.jit
    def both(state, batch):
        logits = trainer.model(state)(experiment.task.inputs(batch))
        return logits, trainer.step(state, batch)[1]["task_loss"]

    logits, found = both(state, batch)
    logs = np.asarray(logits) - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = -logs[np.arange(len(labels)), labels].mean()
    np.testing.assert_allclose(found, expected, rtol=1e-4)
