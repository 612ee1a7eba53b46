"""Known data sets of Hugging Face: the same files as their makers publish."""

import sys
import types

import numpy as np
import pytest
from PIL import Image

from dynsparse import data
from dynsparse.launching.arguments import UserError
from dynsparse.launching.known_data import hub
from dynsparse.launching.main import main
from tests.data import written

LABELS = written.LABELS.tolist()


class Rows(list):
    """Rows as the library gives them: by number, and columns by name."""

    def __getitem__(self, key):
        return (
            [row[key] for row in self]
            if isinstance(key, str)
            else super().__getitem__(key)
        )

    @property
    def features(self):
        names = types.SimpleNamespace(names=["ape", "bee", "cow"])
        return dict.fromkeys(["label", "fine_label", "coarse_label"], names)


@pytest.fixture
def hosted(monkeypatch):
    """Puts a data set in the place of what the library would load."""

    def put(loaded):
        module = types.ModuleType("datasets")
        module.load_dataset = lambda *_, **__: loaded()
        monkeypatch.setitem(sys.modules, "datasets", module)

    return put


def write(pieces, folder):
    for piece in pieces:
        (folder / piece.name).write_bytes(piece.open().read())
    return str(folder)


def rows(image, *columns, shape, number=24):
    images = written.images(number, *shape)
    return Rows(
        {image: Image.fromarray(pixels)} | dict.fromkeys(columns, label)
        for pixels, label in zip(images, LABELS, strict=False)
    )


def test_images_as_idx_files(hosted, tmp_path):
    train, test = (rows("image", "label", shape=(6, 5), number=n) for n in (24, 6))
    hosted(lambda: dict(train=train, test=test))
    path = write(hub.idx_pieces("x"), tmp_path)
    splits = data.from_config(dict(name="idx_images", path=path, **written.CUT))
    assert (len(splits.train), len(splits.test)) == (18, 6)
    batch = data.read_batch(splits.test, np.arange(6))
    np.testing.assert_array_equal(batch["image"][..., 0], written.images(6, 6, 5))
    np.testing.assert_array_equal(batch["label"], LABELS[:6])


@pytest.mark.parametrize(
    ("files", "columns", "number"),
    [
        (hub.CIFAR_10, ("label",), 20),
        (hub.CIFAR_100, ("coarse_label", "fine_label"), 20),
    ],
)
def test_images_as_batches_of_cifar(hosted, tmp_path, files, columns, number):
    train, test = (rows("img", *columns, shape=(32, 32, 3), number=n) for n in (24, 6))
    hosted(lambda: dict(train=train, test=test))
    path = write(hub.cifar_pieces("x", files, columns), tmp_path)
    settings = dict(name="cifar", path=path, coarse=False)
    splits = data.from_config(settings | written.CUT)
    assert (len(splits.train), len(splits.test)) == (18, 6)
    assert splits.facts["class_names"] == ["ape", "bee", "cow"]
    batch = data.read_batch(splits.test, np.arange(6))
    np.testing.assert_array_equal(batch["image"], written.images(6, 32, 32, 3))
    np.testing.assert_array_equal(batch["label"], LABELS[:6])


def test_a_text_is_its_parts_one_after_the_other(hosted, tmp_path):
    parts = dict(train="to be ", validation="or not ", test="to be")
    hosted(lambda: {name: Rows([dict(text=text)]) for name, text in parts.items()})
    write(hub.text_pieces("x", "y"), tmp_path)
    assert (tmp_path / "input.txt").read_text() == "to be or not to be"


def test_a_label_that_is_hidden_is_named(hosted, tmp_path):
    train = rows("image", "label", shape=(6, 5))
    train[3]["label"] = -1
    hosted(lambda: dict(train=train, test=train))
    with pytest.raises(UserError, match="x: label of row 3 is -1; accepted: 0 to 255"):
        write(hub.idx_pieces("x"), tmp_path)


def refuse():
    raise ConnectionError("no way\nto reach it")


@pytest.mark.parametrize(
    ("loaded", "message"),
    [
        (None, 'datasets is not installed: pip install "dynsparse[hf]"'),
        (refuse, "--source=hf: cannot load ylecun/mnist: ConnectionError: no way to"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(
    hosted, tmp_path, loaded, message, capsys, monkeypatch
):
    if loaded:
        hosted(loaded)
    else:
        monkeypatch.setitem(sys.modules, "datasets", None)
    words = ["mnist", f"--data_dir={tmp_path}", "--source=hf"]
    assert main(["prepare", *words]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
