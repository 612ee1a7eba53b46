"""Known data sets: from what people have to what the sources read."""

import dataclasses
import json
import re
import shlex
import tarfile
import zipfile

import pytest

from dynsparse import data
from dynsparse.launching.known_data.table import KNOWN
from dynsparse.launching.main import main
from tests.data import written

# What a tiny one of each has: examples, facts, and examples of each class.
TINY = {
    "mnist": ("idx_images", (18, 6, 6), dict(num_classes=10), (10, 10, 10) + (0,) * 7),
    "cifar10": ("cifar", (45, 15, 6), dict(num_classes=3), (22, 22, 22)),
    "cifar100": ("cifar_100", (18, 6, 6), dict(num_classes=3), (10, 10, 10)),
    "tinyshakespeare": ("text", (100, 4, 4), dict(vocabulary=17), ()),
    "speech_commands": ("wav_folder", (4, 1, 1), dict(num_classes=2), ()),
    "movielens_small": ("interactions", (2,) * 3, dict(num_users=2, num_items=6), ()),
}


@pytest.fixture(params=TINY)
def known(request, tmp_path, monkeypatch):
    """The name of a data set that is tiny; its files are in `tmp_path / "files"`."""
    row, examples, facts, counts = TINY[request.param]
    (tmp_path / "files").mkdir()
    settings = written.written(row, tmp_path / "files")
    if request.param == "tinyshakespeare":
        (tmp_path / "files/text.txt").rename(tmp_path / "files/input.txt")
    whole = KNOWN[request.param]
    source = {key: settings[key] for key in whole.source}
    tiny = dict(examples=examples, facts=facts, class_counts=counts, published={})
    changed = dataclasses.replace(whole, source=source, **tiny)
    monkeypatch.setitem(KNOWN, request.param, changed)
    return request.param


def pack(folder, path):
    """The files of a folder, in an archive, in a folder of their own."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in files:
                archive.write(file, f"whole/{file.relative_to(folder)}")
    elif path.suffix:
        with tarfile.open(path, f"w:{path.suffix.removeprefix('.')}") as archive:
            archive.add(folder, "whole")
    else:
        folder.rename(path)


def prepare(name, tmp_path, *words):
    return main(["prepare", name, f"--data_dir={tmp_path / 'data'}", *map(str, words)])


@pytest.mark.parametrize("archive", ["a.zip", "a.gz", "a.xz", "folder"])
def test_a_local_source_becomes_what_the_source_reads(known, tmp_path, archive, capsys):
    pack(tmp_path / "files", tmp_path / archive)
    assert prepare(known, tmp_path, f"--source={tmp_path / archive}") == 0
    command = shlex.split(capsys.readouterr().out.splitlines()[-1])
    section = json.loads(command[-1].removeprefix("--config.data="))
    splits = data.from_config(section)
    found = tuple(map(len, (splits.train, splits.validation, splits.test)))
    assert found == KNOWN[known].examples
    assert not list((tmp_path / "data").glob("*.partial"))
    assert not list((tmp_path / "data").rglob(".*"))


def test_what_is_whole_is_checked_and_what_has_changed_is_named(
    known, tmp_path, capsys
):
    assert prepare(known, tmp_path, f"--source={tmp_path / 'files'}") == 0
    assert prepare(known, tmp_path) == 0
    assert "is whole" in capsys.readouterr().out
    files = [f for f in (tmp_path / "data" / known).rglob("*") if f.is_file()]
    changed = max(files, key=lambda file: file.name)
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    assert prepare(known, tmp_path) == 2
    assert "is not what was prepared: remove the folder" in capsys.readouterr().err


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """Files of a tiny MNIST."""
    _, examples, facts, counts = TINY["mnist"]
    (tmp_path / "files").mkdir()
    written.idx_images(tmp_path / "files")
    tiny = dict(examples=examples, facts=facts, class_counts=counts, published={})
    source = dict(KNOWN["mnist"].source, **written.CUT)
    changed = dataclasses.replace(KNOWN["mnist"], source=source, **tiny)
    monkeypatch.setitem(KNOWN, "mnist", changed)
    return tmp_path / "files"


def with_published(monkeypatch, name, told):
    changed = dataclasses.replace(KNOWN["mnist"], published={name: told})
    monkeypatch.setitem(KNOWN, "mnist", changed)


def test_a_second_call_goes_on_where_the_first_one_stopped(
    mnist, tmp_path, monkeypatch, capsys
):
    from dynsparse.launching.known_data import folder

    write, copied = folder.shutil.copyfileobj, []

    def stop_at_the_third(source, target, size):
        copied.append(target.name)
        if len(copied) == 3:
            raise KeyboardInterrupt
        write(source, target, size)

    monkeypatch.setattr(folder.shutil, "copyfileobj", stop_at_the_third)
    pack(mnist, tmp_path / "a.gz")
    assert prepare("mnist", tmp_path, f"--source={tmp_path / 'a.gz'}") == 130
    assert "the same command goes on" in capsys.readouterr().out
    assert not (tmp_path / "data" / "mnist").exists()
    assert prepare("mnist", tmp_path, f"--source={tmp_path / 'a.gz'}") == 0
    assert len(copied) == 5  # two, the third again, and the fourth


def test_what_is_there_of_another_source_is_not_used(mnist, tmp_path):
    partial = tmp_path / "data" / "mnist.partial"
    partial.mkdir(parents=True)
    (partial / ".source").write_text("elsewhere")
    images = mnist / "train-images-idx3-ubyte"
    (partial / images.name).write_bytes(bytes(images.stat().st_size))
    assert prepare("mnist", tmp_path, f"--source={mnist}") == 0
    copied = tmp_path / "data" / "mnist" / images.name
    assert copied.read_bytes() == images.read_bytes()


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_published_digests_are_checked(mnist, tmp_path, monkeypatch, capsys, kind):
    name = "train-images-idx3-ubyte"
    with_published(monkeypatch, name, f"{kind}:0123")
    assert prepare("mnist", tmp_path, f"--source={mnist}") == 2
    told = capsys.readouterr().err
    assert re.search(
        rf"{name}: its {kind} is [0-9a-f]+, the published one is 0123", told
    )
    assert not (tmp_path / "data" / "mnist.partial" / name).exists()
    found = re.search(r"is ([0-9a-f]+),", told)
    with_published(monkeypatch, name, f"{kind}:{found[1]}")
    assert prepare("mnist", tmp_path, f"--source={mnist}") == 0


def mislabel(file):
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def fewer(folder):
    images = folder / "train-images-idx3-ubyte"
    images.write_bytes(written.idx(written.images(21, 6, 5)))
    labels = folder / "train-labels-idx1-ubyte.gz"
    labels.unlink()
    labels.with_suffix("").write_bytes(written.idx(written.LABELS[:21]))


BROKEN = [
    (
        lambda f: (f / "t10k-labels-idx1-ubyte").unlink(),
        "has no t10k-labels-idx1-ubyte",
    ),
    (
        lambda f: [file.unlink() for file in f.iterdir()],
        "has no file of the four files",
    ),
    (lambda f: mislabel(f / "t10k-labels-idx1-ubyte"), "the source is mislabelled or"),
    (fewer, "15, 6, 6 examples to train on, validate on and test on; the whole has 18"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_a_source_that_is_not_whole_is_named(mnist, tmp_path, change, message, capsys):
    change(mnist)
    assert prepare("mnist", tmp_path, f"--source={mnist}") == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "data" / "mnist").exists()


@pytest.mark.parametrize("archive", ["a.zip", "a.gz", "a.xz"])
def test_a_truncated_archive_is_named(mnist, tmp_path, archive, capsys):
    pack(mnist, tmp_path / archive)
    content = (tmp_path / archive).read_bytes()
    (tmp_path / archive).write_bytes(content[: len(content) // 2])
    assert prepare("mnist", tmp_path, f"--source={tmp_path / archive}") == 2
    told = capsys.readouterr().err
    assert archive in told
    assert re.search("truncated or damaged|has no file of", told)
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("mnist",), "mnist is not there yet: get the four files *-ubyte.gz at https"),
        (("mnist", "--source=nowhere.zip"), "no such file or folder: 'nowhere.zip'"),
        (
            ("movielens_small", "--source=hf"),
            "Hugging Face has no movielens_small that",
        ),
        (("mnits",), "did you mean mnist?"),
    ],
)
def test_mistakes_are_one_line(tmp_path, words, message, capsys):
    assert prepare(words[0], tmp_path, *words[1:]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_a_folder_of_ones_own_is_left_alone(mnist, tmp_path, capsys):
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    assert prepare("mnist", tmp_path, f"--source={mnist}") == 2
    assert "is there, without the checksums.json" in capsys.readouterr().err
