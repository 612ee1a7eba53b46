"""Files and folders that are not what a run left: one line names each, status 2."""

import json
import shutil

import pytest

from dynsparse import reports, training
from dynsparse._internal.atomic_write import DamagedFileError
from dynsparse.launching import main
from dynsparse.launching.workdir import check_config, claim
from dynsparse.training.folder.metrics import put_rows_back
from tests.launching.commands import ROOT, command, parsed, sweep_of
from tests.reports import fake_sweep
from tests.sampled import sampled

DAMAGES = dict(
    empty=b"",
    cut=b'{"title": "soft_topk", "cur',
    zeros=bytes(200),
    latin=b'{"title": "\xff"}',
    list=b"[]",
    number=b"5",
    word=b'"x"',
    null=b"null",
    other=b"{}",
    deep=b"[" * 10_000,
    nested=b'{"curve": [[]], "gate": 3, "penalties": {"a": 1}, "sweep": 4}',
    folder=None,
)
FEW = ("cut", "other", "folder")  # the others are as they are, mostly


def damages(few=FEW):
    return sampled(sorted(DAMAGES), few)


def damage(path, how):
    path.unlink()
    if DAMAGES[how] is None:
        path.mkdir()
    else:
        path.write_bytes(DAMAGES[how])


@pytest.fixture
def run(tmp_path):
    """A finished run, as its own command knows it, and another to compare it with."""
    for name in ("run", "other"):
        fake_sweep.write_run(tmp_path / name, "soft_topk", seed=0)
    config = parsed(command(tmp_path / "run")).config
    (tmp_path / "run/config.json").write_text(json.dumps(config))
    return tmp_path / "run"


WORDS = dict(
    resumed=command,
    compared=lambda run: ["compare", str(run), f"{run}/../other"],
    served=lambda run: ["serve", str(run)],
)


@pytest.mark.parametrize("name", ["config.json", "result.json"])
@pytest.mark.parametrize("how", damages())
@pytest.mark.parametrize("done", WORDS)
def test_a_damaged_file_of_a_run_is_named(done, how, name, run, capsys):
    assert_intact(done, run, capsys)
    damage(run / name, how)
    before = content(run)
    assert main(WORDS[done](run)) == 2
    told = one_line(capsys)
    assert f"{run}/{name}" in told or f"{run} holds a run of another config" in told
    assert content(run) == before


def assert_intact(done, run, capsys):
    """What is damaged next is refused for nothing else."""
    if done == "served":
        reports.read_run(run)
    else:
        assert main(WORDS[done](run)) == 0
    capsys.readouterr()


def one_line(capsys):
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert len(error) < 500
    return error


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} | {
        path: None for path in folder.rglob("*") if path.is_dir()
    }


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda result: result.pop("curve"), "it has no curve"),
        (lambda result: result["curve"].clear(), "curve is empty"),
        (lambda result: result["curve"].append(3), "curve is no list of objects"),
        (lambda result: result["curve"][1].pop("budget"), "it has no curve[1].budget"),
        (
            lambda result: result["curve"][0].update(score="x"),
            "curve[0].score is 'x'",
        ),
        (
            lambda result: result["curve"][0].update(recovery=3),
            "curve[0].recovery is '3'",
        ),
        (lambda result: result.pop("packages"), "it has no packages"),
        (lambda result: result.update(warnings=None), "warnings is 'None'"),
        (lambda result: result.update(examined=[2]), "examined is no list of objects"),
    ],
)
def test_what_a_result_lacks_is_named(change, told, run, capsys):
    result = json.loads((run / "result.json").read_text())
    change(result)
    (run / "result.json").write_text(json.dumps(result))
    assert main(command(run)) == 2
    assert f"{run}/result.json is damaged: {told}" in one_line(capsys)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (b"1\n2\n", None),
        (b"1\n2\n3\n", None),  # of steps after the checkpoint
        (b"1\n", "lacked rows up to step 7; they are back"),
        (None, "lacked rows up to step 7; they are back"),
        (b"\0\0\n", "lacked rows up to step 7; they are back"),
    ],
)
def test_rows_are_those_of_the_checkpoint_whatever_is_found(found, told, tmp_path):
    path = tmp_path / "metrics.jsonl"
    if found is not None:
        path.write_bytes(found)
    note = put_rows_back(tmp_path, b"1\n2\n", 7)
    assert path.read_bytes() == b"1\n2\n"
    assert note == told or told in note


def test_rows_without_a_checkpoint_are_not_dropped_in_silence(tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(b"1\n")
    assert "held rows, but there is no check" in str(put_rows_back(tmp_path, b"", 0))
    assert put_rows_back(tmp_path, b"", 0) is None


def test_a_folder_in_the_place_of_the_rows_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(
        DamagedFileError, match=r"metrics\.jsonl .*: a folder is in its"
    ):
        put_rows_back(tmp_path, b"1\n", 7)


@pytest.mark.parametrize("how", damages(few=("empty",)))
def test_a_damaged_curve_is_named(how, run):
    damage(run / "curve.csv", how)
    with pytest.raises(ValueError, match=r"run/curve\.csv .*; remove result\.json"):
        reports.summarize([run], run.parent / "summary")


@pytest.mark.parametrize("how", damages(few=("list",)))
def test_a_damaged_config_is_not_restored(how, run):
    damage(run / "config.json", how)
    with pytest.raises(ValueError, match=r"run/config\.json"):
        training.restore(run)


def test_a_recovery_of_nothing_is_shown(run, capsys):
    result = json.loads((run / "result.json").read_text())
    nothing = ("precision", "recall", "random_precision", "random_recall")
    result["curve"][0]["recovery"] = dict(body=dict.fromkeys(nothing))
    for point in result["curve"][1:]:
        point["recovery"] = dict(body=dict.fromkeys(nothing, 0.5))
    (run / "result.json").write_text(json.dumps(result))
    assert main(command(run)) == 0
    assert "none" in capsys.readouterr().out


@pytest.fixture
def swept(tmp_path, monkeypatch):
    """A sweep of two trials, both finished; returns its words and its folder."""
    monkeypatch.setenv("TOYS", json.dumps([dict(does="a"), dict(does="b")]))
    monkeypatch.chdir(ROOT)
    folder = tmp_path / "sweep"
    words = ["sweep", "tests/launching/toys.py", f"--workdir={folder}"]
    folder.mkdir()
    (folder / "sweep.json").write_text('{"sweep": "tests/launching/toys.py:small"}')
    for trial in sweep_of(words[1]).trials():
        trial.write(folder, "command")
        rows = dict(rows=[dict(trial.asked)])
        result = folder / trial.name / "result.json"
        result.write_text(json.dumps(fake_sweep.PLACE | rows))
    assert main(words) == 0
    return words, folder


@pytest.mark.parametrize("how", damages())
@pytest.mark.parametrize("name", ["sweep.json", "does=a*/result.json"])
@pytest.mark.parametrize("flags", [[], ["report"], ["--dry_run"]], ids=str)
def test_a_damaged_file_of_a_sweep_is_named(flags, name, how, swept, capsys):
    words, folder = swept
    (path,) = folder.glob(name)
    capsys.readouterr()
    damage(path, how)
    before = (folder / "report.md").read_bytes()
    words = ["report", str(folder)] if "report" in flags else [*words, *flags]
    assert main(words) == 2
    assert str(path) in one_line(capsys) or how == "nested"
    assert (folder / "report.md").read_bytes() == before


@pytest.mark.parametrize("name", ["letters/a.txt", ".git/x", "metrics.jsonl", "a b"])
@pytest.mark.parametrize("words", ["command", "sweep"])
def test_a_folder_of_others_is_refused_before_anything_is_written(
    words, name, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("TOYS", json.dumps([dict(does="returns")]))
    monkeypatch.chdir(ROOT)
    folder = tmp_path / "theirs"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text("dear\n")
    before = content(folder)
    ask = dict(
        command=command(folder),
        sweep=["sweep", "tests/launching/toys.py", f"--workdir={folder}"],
    )
    assert main(ask[words]) == 2
    assert repr(name.partition("/")[0]) in one_line(capsys)
    assert content(folder) == before


@pytest.mark.parametrize("left", [[], [".lock"], [".lock", ".17.config.json"]])
def test_what_a_killed_run_left_is_taken(left, tmp_path):
    for name in left:
        (tmp_path / name).touch()
    with claim(tmp_path, dict(seed=0)):
        shutil.copy(tmp_path / "config.json", tmp_path / "copy")
    check_config(tmp_path, dict(seed=0))
