"""The loop: learning, resuming, stopping, and what it refuses."""

import dataclasses
import json
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsparse import training
from dynsparse._internal.stop_signal import StopSignal
from dynsparse.training.batches import Batches
from dynsparse.training.folder.checkpoint import Checkpoints
from dynsparse.training.program import Program
from dynsparse.training.progress import ProgressReport
from tests.sampled import sampled
from tests.training import tiny


@pytest.fixture(scope="module")
def experiment():
    return tiny.prepared()


def fresh(experiment):
    """The same experiment, with a state that a step may take over."""
    state = jax.tree.map(jnp.copy, experiment.initial_state)
    return dataclasses.replace(experiment, initial_state=state)


def same(left, right):
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_array_equal(a, b)


def metrics(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def uninterrupted(experiment, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    return training.train(fresh(experiment), workdir), workdir


def test_every_step_is_taken_and_logged_once(uninterrupted):
    state, workdir = uninterrupted
    assert int(state["step"]) == 6
    steps = [(row["step"], row["split"]) for row in metrics(workdir)]
    train, validation = [(s, "train") for s in (2, 4, 6)], [(4, "validation")]
    assert sorted(steps) == sorted([*train, *validation, (6, "validation")])


def test_training_lowers_the_loss(experiment, tmp_path):
    config = tiny.config(
        "dense",
        train__num_steps=120,
        train__log_every=20,
        train__eval_every=120,
        train__checkpoint_every=120,
        optimizer__warmup_steps=20,
        optimizer__learning_rate=1e-2,
        model__width=16,
        data__max_fragments=0,
    )
    training.train(training.prepare(config), tmp_path)
    losses = [row["loss"] for row in metrics(tmp_path) if row["split"] == "train"]
    assert losses[-1] < 0.75 * losses[0]


def stop_after(experiment, step):
    """The experiment, with a kill between the loading of a batch and its step."""

    class Killed(Exception):
        pass

    class Deadly(Batches):
        def __init__(self):
            pass

        def __getitem__(self, index):
            if index >= step:
                raise Killed
            return experiment.batches[index]

    return dataclasses.replace(fresh(experiment), batches=Deadly()), Killed


@pytest.mark.parametrize("step", [1, 3, 5])
def test_a_resumed_run_ends_with_the_same_bits(
    experiment, uninterrupted, step, tmp_path
):
    doomed, killed = stop_after(experiment, step)
    with pytest.raises(killed):
        training.train(doomed, tmp_path)
    state = training.train(fresh(experiment), tmp_path)
    same(state, uninterrupted[0])
    assert metrics(tmp_path) == metrics(uninterrupted[1])


@pytest.fixture
def stopped(experiment, tmp_path):
    """The folder of a run that was killed after its checkpoints at 3 and 4."""
    config = tiny.config(train__checkpoint_every=1)
    doomed, killed = stop_after(training.prepare(config), 4)
    with pytest.raises(killed):
        training.train(doomed, tmp_path)
    return tmp_path


def test_a_damaged_checkpoint_is_named_and_training_goes_on_from_the_one_before(
    experiment, uninterrupted, stopped, capsys
):
    (stopped / "checkpoints/4/state/_METADATA").write_text("")
    state = training.train(fresh(experiment), stopped)
    same(state, uninterrupted[0])
    assert metrics(stopped) == metrics(uninterrupted[1])
    told = capsys.readouterr().out
    assert "checkpoint 4 of " in told
    assert ": state/_METADATA is damaged; step 3 is taken\n" in told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, True),
        (b"", True),
        (b'{"step": 2, "sp', True),
        (b"\xff\n[]\n", True),
        ("followed by", False),
    ],
)
def test_rows_that_a_checkpoint_counts_on_are_put_back(
    content, told, experiment, uninterrupted, stopped, capsys
):
    path = stopped / "metrics.jsonl"
    if content is None:
        path.unlink()
    elif content == "followed by":
        path.write_bytes(path.read_bytes() + b"\0\0\0\n[]\n")
    else:
        path.write_bytes(content)
    training.train(fresh(experiment), stopped)
    assert metrics(stopped) == metrics(uninterrupted[1])
    said = "lacked rows up to step 4; they are back" in capsys.readouterr().out
    assert said == told


def test_a_finished_run_takes_no_step_more(experiment, uninterrupted, tmp_path):
    state, workdir = uninterrupted
    doomed, _ = stop_after(experiment, 0)
    again = training.train(doomed, workdir)
    assert int(again["step"]) == 6
    same(again, state)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_run_goes_on_from_there(
    experiment, uninterrupted, number, tmp_path
):
    class Signalling(Batches):
        def __init__(self):
            pass

        def __getitem__(self, index):
            if index == 1:
                os.kill(os.getpid(), number)
            return experiment.batches[index]

    asked = dataclasses.replace(fresh(experiment), batches=Signalling())
    before = signal.getsignal(number)
    with pytest.raises(training.Interrupted, match="stopped at step 2"):
        training.train(asked, tmp_path)
    assert signal.getsignal(number) == before
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.latest == 2
    same(training.train(fresh(experiment), tmp_path), uninterrupted[0])


def test_what_a_run_says_is_printed_as_it_is(capsys):
    ProgressReport(0, 1, "accuracy").say("[/data/x] [batch, 3] :key:")
    assert capsys.readouterr().out == "[/data/x] [batch, 3] :key:\n"


def test_signal_handlers_are_those_of_before():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignal(only_first=True) as stop:
        assert signal.getsignal(signal.SIGTERM) != before
    assert not stop.times
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("metric", "words"), [("loss", "loss"), ("gradient_norm", "gradient's norm")]
)
def test_what_is_not_finite_stops_the_run_with_the_step(
    metric, words, experiment, tmp_path, monkeypatch
):
    def poisoned(self, working, index, step=Program.step):
        working, values = step(self, working, index)
        return working, values | ({metric: jnp.nan} if index == 4 else {})

    monkeypatch.setattr(Program, "step", poisoned)
    with pytest.raises(FloatingPointError, match=f"the {words} is nan at step 5"):
        training.train(fresh(experiment), tmp_path)
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.latest == 3


def test_every_step_draws_its_own_noise():
    experiment = tiny.prepared("gumbel_sigmoid")
    step, batch = experiment.trainer.step, experiment.batches[0]
    loss = jax.jit(lambda state, batch: step(state, batch)[1]["loss"])
    states = [experiment.initial_state | dict(step=jnp.int32(i)) for i in range(4)]
    assert len({float(loss(state, batch)) for state in states}) == 4


@pytest.fixture(scope="module")
def step(experiment):
    return jax.jit(experiment.trainer.step)


def test_a_step_depends_on_the_key_and_the_step_alone(experiment, step):
    state, batch = experiment.initial_state, experiment.batches[0]
    same(step(state, batch)[0], step(state, batch)[0])
    later = step(state | dict(step=jnp.int32(1)), batch)[1]
    assert step(state, batch)[1]["density"] != later["density"]


def test_batches_depend_on_the_seed_and_the_step_alone(experiment):
    source = experiment.task.train
    batches = [Batches(source, batch_size=16, seed=s) for s in (0, 0, 1)]
    first, again, other = (np.stack([b[i]["image"] for i in range(8)]) for b in batches)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_every_epoch_reads_every_example_once_in_a_new_order(experiment):
    source = experiment.task.train
    batches = Batches(source, batch_size=16, seed=0)
    epochs = [
        [image.tobytes() for i in range(8) for image in batches[8 * epoch + i]["image"]]
        for epoch in (0, 1)
    ]
    everything = sorted(image.tobytes() for image in source.arrays["image"])
    assert sorted(epochs[0]) == sorted(epochs[1]) == everything
    assert epochs[0] != epochs[1]


# Dense networks and Gumbel gates are trained by the tests beside this one.
@pytest.mark.parametrize(
    "gate", sampled(["dense", "gumbel_sigmoid", "random_topk"], ["random_topk"])
)
def test_every_method_trains(gate, tmp_path):
    experiment = training.prepare(tiny.config(gate))
    training.train(experiment, tmp_path)
    rows = metrics(tmp_path)
    assert all(np.isfinite(row["loss"]) for row in rows if row["split"] == "train")


def test_the_penalty_moves_gumbel_gates_to_their_target(tmp_path):
    config = tiny.config(
        "gumbel_sigmoid",
        budget__penalties__target_rate__target=0.2,
        budget__penalties__target_rate__weight=100.0,
        train__num_steps=60,
        optimizer__learning_rate=2e-2,
        train__log_every=60,
        train__eval_every=60,
    )
    training.train(training.prepare(config), tmp_path)
    density = [row["density"] for row in metrics(tmp_path) if "density" in row]
    np.testing.assert_allclose(density[-1], 0.2, atol=0.05)


def test_what_steps_draw_is_not_the_density_of_the_model(experiment, step):
    state = experiment.initial_state
    density = lambda state: experiment.trainer.model(state).body.gate.density[...]
    before, drawn = density(state), set()
    for index in range(6):
        state, metrics = step(state, experiment.batches[index])
        drawn.add(float(metrics["density"]))
    assert len(drawn) > 1
    assert density(state) == before
