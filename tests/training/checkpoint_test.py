"""Checkpoints: what comes back, what damage does, and what is left open."""

import os
import shutil
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsparse.training.folder.checkpoint import CheckpointError, Checkpoints

DTYPES = ("float32", "bfloat16", "float16", "int32", "uint8", "bool")


def state(step, value=1.0):
    """A state with the kinds of arrays that trainings have."""
    return dict(
        params=dict(
            kernel=jnp.full((3, 4), value, jnp.float32), bias=jnp.zeros((0, 4))
        ),
        optimizer=(jnp.arange(5, dtype=jnp.bfloat16), [jnp.float32(value)]),
        key=jax.random.key(3),
        step=jnp.int32(step),
    )


def same(left, right):
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert a.dtype == b.dtype
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_array_equal(a, b)


def save(directory, *steps):
    with Checkpoints(directory, cleans=True) as checkpoints:
        for step in steps:
            checkpoints.save(state(step, value=step), b"rows of %d\n" % step)


def restore(directory, like=None, **options):
    with Checkpoints(directory) as checkpoints:
        return checkpoints.restore(like or state(0, value=0.0), **options)


@pytest.mark.parametrize("name", ["plain", "lr=[0.1]", "[a]/run", "a*b?", "ä ö"])
def test_a_state_comes_back_from_any_folder(name, tmp_path):
    save(tmp_path / name, 4)
    found = restore(tmp_path / name)
    same(found.state, state(4, value=4))
    assert (found.rows, found.passed_over) == (b"rows of 4\n", [])


@pytest.mark.parametrize(("there", "here"), [("plain", "[a]"), ("[a]", "plain")])
def test_a_folder_can_be_renamed(there, here, tmp_path):
    save(tmp_path / there, 4)
    (tmp_path / there).rename(tmp_path / here)
    same(restore(tmp_path / here).state, state(4, value=4))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_comes_back(dtype, tmp_path):
    wanted = state(1) | dict(more=(jnp.arange(6) % 2).astype(dtype))
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(wanted)
    same(restore(tmp_path, like=wanted).state, wanted)


def test_the_newest_two_are_kept(tmp_path):
    save(tmp_path, 1, 2, 3)
    assert {path.name for path in tmp_path.iterdir()} == {"2", "3"}


def test_a_state_that_is_changed_after_saving_is_saved_as_it_was(tmp_path):
    numbers = np.ones(1000, np.float32)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(dict(step=np.int32(1), numbers=numbers))
        numbers[:] = 0
    found = restore(tmp_path, like=dict(step=jnp.int32(0), numbers=jnp.zeros(1000)))
    assert found.state["numbers"].all()


def open_now():
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def test_saving_leaves_no_file_and_no_thread_open(tmp_path):
    save(tmp_path, 1)
    before = open_now()
    save(tmp_path, *range(2, 14))
    assert open_now() == before


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "flipped":
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "zeroed":
        path.write_bytes(bytes(len(content)))
    elif how == "a folder":
        path.unlink()
        path.mkdir()
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["flipped", "cut", "zeroed", "a folder", "deleted"])
def test_of_a_damaged_newest_the_file_is_named_and_the_one_before_taken(how, tmp_path):
    intact, damaged = tmp_path / "intact", tmp_path / "damaged"
    save(intact, 4, 8)
    names = [path.relative_to(intact) for path in files(intact / "8")]
    names = [name for name in names if (intact / name).stat().st_size]
    assert len(names) > 5
    for name in names:
        shutil.copytree(intact, damaged)
        damage(damaged / name, how)
        found = restore(damaged)
        same(found.state, state(4, value=4))
        (why,) = found.passed_over
        assert f"checkpoint 8 of {damaged}: {name.relative_to('8')} " in why
        shutil.rmtree(damaged)


@pytest.mark.parametrize("number", [5, pytest.param(100, marks=pytest.mark.full)])
def test_a_flipped_bit_changes_no_number(number, tmp_path):
    rng, intact, damaged = np.random.default_rng(0), tmp_path / "a", tmp_path / "b"
    save(intact, 4, 8)
    names = [path.relative_to(intact) for path in files(intact / "8")]
    sizes = np.array([(intact / name).stat().st_size for name in names])
    for place in rng.integers(0, sizes.sum(), number):
        which = int(np.searchsorted(sizes.cumsum(), place, side="right"))
        shutil.copytree(intact, damaged)
        content = bytearray((damaged / names[which]).read_bytes())
        content[place - sizes[:which].sum()] ^= 1 << rng.integers(8)
        (damaged / names[which]).write_bytes(content)
        found = restore(damaged)
        same(found.state, state(4, value=4))
        assert len(found.passed_over) == 1
        shutil.rmtree(damaged)


def test_where_none_is_whole_every_file_is_named(tmp_path):
    save(tmp_path, 4, 8)
    (tmp_path / "4/metrics.jsonl").write_text("rows of 5\n")
    (tmp_path / "8/metrics.jsonl").unlink()
    with pytest.raises(
        CheckpointError,
        match=r"checkpoint 8 of .*: metrics.jsonl cannot be read; "
        r"checkpoint 4 of .*: metrics.jsonl is damaged; nothing was changed",
    ):
        restore(tmp_path)


def test_where_only_the_newest_will_do_another_is_not_taken(tmp_path):
    save(tmp_path, 4, 8)
    shutil.rmtree(tmp_path / "8/state")
    with pytest.raises(CheckpointError, match="checkpoint 8 of .* cannot be read"):
        restore(tmp_path, newest_only=True)


def test_numbers_that_orbax_reads_wrongly_are_refused(tmp_path, monkeypatch):
    from orbax import checkpoint as ocp

    save(tmp_path, 4)
    right = ocp.Checkpointer.restore

    def wrong(self, *words):
        found = dict(right(self, *words))
        found["params/kernel"] = found["params/kernel"] + 1
        return found

    monkeypatch.setattr(ocp.Checkpointer, "restore", wrong)
    with pytest.raises(CheckpointError, match="the array params/kernel is not what"):
        restore(tmp_path)


def clutter(folder):
    for name in ("12", "99"):
        (folder / name).mkdir()
    (folder / "13").write_text("a note\n")
    (folder / "20").mkdir()
    (folder / "20/notes.txt").write_text("a note\n")
    (folder / "notes").mkdir()
    (folder / "010").mkdir()
    (folder / "9.partial").write_text("a note\n")


def test_what_else_lies_there_changes_nothing(tmp_path):
    save(tmp_path, 4, 8)
    clutter(tmp_path)
    found = restore(tmp_path)
    same(found.state, state(8, value=8))
    assert not found.passed_over
    others = {path.name for path in tmp_path.iterdir()} - {"4", "8"}
    save(tmp_path, 12, 13, 20)
    same(restore(tmp_path).state, state(20, value=20))
    assert others <= {path.name for path in tmp_path.iterdir()} | {"12"}
    assert (tmp_path / "13.other").read_text() == "a note\n"
    assert (tmp_path / "20.other/notes.txt").read_text() == "a note\n"


def test_a_damaged_checkpoint_makes_room_for_a_new_one_of_its_step(tmp_path):
    save(tmp_path, 4, 8)
    (tmp_path / "8/digests.json").unlink()
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.restore(state(0))
        checkpoints.save(state(8, value=9))
    same(restore(tmp_path).state, state(8, value=9))
    assert {path.name for path in tmp_path.iterdir()} == {"4", "8"}


def test_a_damaged_checkpoint_is_not_kept_in_place_of_a_whole_one(tmp_path):
    save(tmp_path, 4, 8)
    (tmp_path / "8/digests.json").unlink()
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.restore(state(0))
        checkpoints.save(state(6))
    assert {path.name for path in tmp_path.iterdir()} == {"4", "6"}


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "checkpoints").write_text("a note\n")
    with pytest.raises(CheckpointError, match="checkpoints is no folder; move it away"):
        Checkpoints(tmp_path / "checkpoints")


@pytest.mark.parametrize(
    "raised",
    [OSError(28, "No space left"), ValueError("RESOURCE_EXHAUSTED: write failed")],
)
def test_a_full_disk_is_an_error_of_the_system_whoever_met_it(
    raised, tmp_path, monkeypatch
):
    from orbax import checkpoint as ocp

    save(tmp_path, 4)

    def fail(*_):
        raise raised

    monkeypatch.setattr(ocp.Checkpointer, "save", fail)
    with pytest.raises(OSError, match="No space left") as caught:
        save(tmp_path, 8)
    assert caught.value.errno == 28
    assert {path.name for path in tmp_path.iterdir()} == {"4"}


@pytest.mark.parametrize("cleans", [False, True])
def test_a_reader_leaves_what_is_being_written(cleans, tmp_path):
    unfinished = tmp_path / ".unfinished"
    unfinished.mkdir()
    Checkpoints(tmp_path, cleans=cleans)
    assert unfinished.exists() != cleans


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (dict(b=jnp.ones(4)), "b has shape none there"),
        (dict(a=jnp.ones(2)), r"a has shape \(3,\) there, \(2,\) here"),
        (dict(a=jnp.ones(3, int)), "a has dtype float32 there, int32 here"),
        (dict(a=None), r"a has shape \(3,\) there, none here"),
        (dict(key=jax.random.key(0, impl="rbg")), r"key has shape \(2,\) there, \(4,"),
    ],
)
def test_a_checkpoint_of_other_arrays_names_the_first(change, told, tmp_path):
    saved = dict(step=jnp.int32(1), key=jax.random.key(0), a=jnp.ones(3))
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(saved)
    with pytest.raises(CheckpointError, match=told):
        restore(tmp_path, like=saved | change)
