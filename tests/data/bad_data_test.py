"""Bad data of every source: one line that names the file and what is accepted."""

import re

import numpy as np
import pytest
import scipy.sparse

from dynsparse import data
from tests.data import written

TRAIN_IMAGES = "train-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"
IMAGE = "train/ape/0.png"
WAV = "no/00000000_nohash_0.wav"


def cut(folder, name, size=-1):
    """A file without its end."""
    (folder / name).write_bytes((folder / name).read_bytes()[:size])


def cut_short(folder, name):
    """A file of which the beginning is left."""
    cut(folder, name, 40)


def put(content):
    def change(folder, name):
        new = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(new)

    return change


def remove(folder, name):
    (folder / name).unlink()


def edit(old, new):
    def change(folder, name):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return change


def relabel(place, value):
    """Another byte in a binary file."""

    def change(folder, name):
        content = bytearray((folder / name).read_bytes())
        content[place] = value
        (folder / name).write_bytes(content)

    return change


def as_wav(**kind):
    return lambda folder, name: written.write_wav(folder / name, range(30), **kind)


def as_npz(content):
    return lambda folder, name: scipy.sparse.save_npz(folder / name, content)


def move(new):
    return lambda folder, name: (folder / name).rename(folder / new)


def empty(folder, name):
    for file in (folder / name).iterdir():
        file.unlink()


# Row of WRITERS, file, what happens to it, and what is said of it.
BAD = [
    ("idx_images", TRAIN_IMAGES, remove, "has no train-images-idx3-ubyte or"),
    ("idx_images", TRAIN_IMAGES, cut, "is truncated or damaged: [24, 6, 5] are 720"),
    (
        "idx_images",
        TRAIN_IMAGES,
        put(""),
        "has 0 bytes; accepted: an IDX file of uint8",
    ),
    (
        "idx_images",
        TRAIN_IMAGES,
        put(written.idx(written.LABELS)),
        "with 3 axes, which",
    ),
    (
        "idx_images",
        TRAIN_IMAGES,
        put(written.idx(written.images(9, 6, 5))),
        "24 labels",
    ),
    (
        "idx_images",
        TRAIN_IMAGES,
        put(written.idx(written.images(24, 5, 5))),
        "are (6, 5)",
    ),
    ("idx_images", "train-labels-idx1-ubyte.gz", cut, "not a readable file"),
    ("idx_images", "train-labels-idx1-ubyte.gz", put("text"), "not a readable file"),
    ("idx_images", TEST_LABELS, relabel(9, 7), "must be in [0, 2], those of training"),
    ("idx_images", TEST_LABELS, relabel(2, 13), "begins with 00 00 0d 01; accepted"),
    ("idx_images", TEST_LABELS, put(written.idx(np.zeros(0))), "is empty, [0]"),
    ("idx_images", "class_names.txt", put("a\nb\n"), "must be in [0, 1], the classes"),
    ("idx_images", "class_names.txt", put("\n"), "must have a name on each line"),
    ("idx_images", "class_names.txt", put(b"\xff"), "must be UTF-8, a name a line"),
    ("cifar", "data_batch_3.bin", remove, "has no data_batch_3.bin; accepted"),
    ("cifar", "data_batch_3.bin", cut, "is truncated or damaged: it has 36875 bytes"),
    ("cifar", "data_batch_3.bin", put(""), "is empty: it has 0 bytes; accepted: rows"),
    ("cifar", "data_batch_1.bin", relabel(0, 9), "[0, 2], the classes of batches.meta"),
    ("cifar", "test_batch.bin", relabel(3073, 3), "must be in [0, 2], those of"),
    ("cifar_100", "test.bin", remove, "has no test.bin; accepted: the folder of the"),
    ("cifar_100", "train.bin", cut, "rows of 3074 bytes, 2 for labels"),
    ("cifar_100", "test.bin", relabel(1, 200), "must be in [0, 2], those of training"),
    ("image_folder", IMAGE, cut_short, "not a readable image"),
    ("image_folder", IMAGE, put(""), "not a readable image"),
    ("image_folder", IMAGE, put("text"), "not a readable image"),
    ("image_folder", "val", move("dev"), "has no folder test or val; accepted: a"),
    ("image_folder", "train", move("dev"), "has no folder train; accepted: a folder"),
    (
        "image_folder",
        "val/bee",
        move("val/cow"),
        "has no folder 'bee'; accepted: the 2",
    ),
    (
        "image_folder",
        "train/bee",
        move("train/_b"),
        "has a folder 'bee'; accepted: the",
    ),
    ("image_folder", "train/bee", empty, "train/bee: holds no files of .bmp, .gif"),
    ("wav_folder", "yes", empty, "yes: holds no files of .wav"),
    ("text", "text.txt", remove, "does not exist; accepted: a text file"),
    ("text", "text.txt", put(""), "is empty; accepted: a text file in UTF-8"),
    (
        "text",
        "text.txt",
        put(b"caf\xe9 " * 40),
        "not UTF-8 at byte 3; accepted: a text",
    ),
    (
        "text",
        "text.txt",
        put("too short"),
        "has 5 tokens; a window of length 8 needs 9",
    ),
    ("text", "text.txt", put("ab"), "2 examples are too few to cut 0.2 for validation"),
    ("tokens", "tokens.bin", remove, "does not exist; accepted: a .bin file"),
    ("tokens", "tokens.bin", put(""), "is empty; accepted: a .bin file"),
    ("tokens", "tokens.bin", cut, "is truncated or no uint16: 399 bytes"),
    (
        "tokens",
        "tokens.bin",
        relabel(0, 200),
        "must be in [0, 199], got 200 at place 0",
    ),
    ("wav_folder", WAV, cut, "is truncated: 9 of 10 samples"),
    ("wav_folder", WAV, put("text"), "not a readable WAV file of PCM"),
    ("wav_folder", WAV, put(""), "not a readable WAV file of PCM"),
    ("wav_folder", WAV, as_wav(width=4), "must be 16-bit, of one channel and 16000 Hz"),
    ("wav_folder", WAV, as_wav(rate=8000), "got 16-bit, 1 channels and 8000 Hz"),
    ("wav_folder", WAV, as_wav(channels=2), "got 16-bit, 2 channels and 16000 Hz"),
    (
        "wav_folder",
        "testing_list.txt",
        remove,
        "has validation_list.txt alone; accepted: both",
    ),
    ("wav_folder", "testing_list.txt", put(""), "5, 1 and 0 files to train on"),
    ("wav_folder", "testing_list.txt", edit("no/", "on/"), "line 1: no such file 'on/"),
    ("interactions", "ratings.csv", remove, "does not exist; accepted: a .csv file"),
    ("interactions", "ratings.csv", put(""), "names no column user, one of"),
    ("interactions", "ratings.csv", put("user,item\n"), "is empty; accepted: a .csv"),
    ("interactions", "ratings.csv", put("user,film\n"), "names no column item, one of"),
    (
        "interactions",
        "ratings.csv",
        edit("50,4.0,5", "50,four,5"),
        "column rating: must",
    ),
    ("interactions", "ratings.csv", edit("3,50,4.0,5", "3,50"), "line 2: has 2 cells"),
    ("interactions", "ratings.csv", put("user,item\n1,2\n"), "no user has 4 items"),
    ("interactions", "ratings.csv", put(b"user,item\n\xff,2"), "not a table in UTF-8"),
    ("interactions_dat", "ratings.dat", put("3::50\n"), "line 1: has 2 cells, not 4"),
    ("interactions_dat", "ratings.dat", put(""), "is empty; accepted: a .csv file"),
    ("interactions_csr", "ratings.npz", cut, "not a readable matrix"),
    ("interactions_csr", "ratings.npz", put("text"), "not a readable matrix"),
    (
        "interactions_csr",
        "ratings.npz",
        as_npz(scipy.sparse.csr_array((3, 3))),
        "is empty; accepted",
    ),
    ("csv_table", "table.csv", remove, "does not exist; accepted: a .csv file"),
    ("csv_table", "table.csv", put(""), "has no column 'price'; it has []"),
    ("csv_table", "table.csv", put("id,a,price\n"), "is empty; accepted: a .csv file"),
    (
        "csv_table",
        "table.csv",
        edit("\n2,", "\n2,x"),
        "line 4, column width: must be a",
    ),
    ("csv_table", "table.csv", edit(",7,", ",nan,"), "line 2, column same: must be a"),
    ("csv_table", "table.csv", edit(",7,", ",,"), "must be a finite number, got ''"),
    ("csv_table", "table.csv", edit(",7,", ",1e39,"), "is too large for float32"),
    ("csv_table", "table.csv", edit(",7,", ",7,7,"), "line 2: has 5 cells, not 4"),
    ("csv_table", "table.csv", edit("id,w", "id,price,w"), "has two columns 'price'"),
    ("csv_table", "table.csv", edit("price", "cost"), "has no column 'price'; it has"),
    ("csv_table", "table.csv", put("id,price\n1,2\n"), "has no column beside 'price'"),
]


def _named(case):
    """The same name in every process."""
    return getattr(case, "__name__", str(case))[:30]


@pytest.mark.parametrize(("row", "name", "change", "message"), BAD, ids=_named)
def test_bad_files_are_named(tmp_path, row, name, change, message):
    config = written.written(row, tmp_path)
    change(tmp_path, name)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read_all(config)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def read_all(config):
    splits = data.from_config(config)
    for source in (splits.train, splits.validation, splits.test):
        data.read_batch(source, np.arange(len(source)))


@pytest.mark.parametrize("row", written.WRITERS)
@pytest.mark.parametrize("path", ["", "nowhere/data.csv"])
def test_a_path_that_is_not_there_is_named(tmp_path, row, path):
    with pytest.raises(ValueError, match=r"data: path.*(accepted|--config.data.path)"):
        data.from_config(written.written(row, tmp_path) | dict(path=path))


@pytest.mark.parametrize("row", ["text", "interactions", "csv_table", "cifar"])
def test_a_file_is_no_folder(tmp_path, row):
    config = written.written(row, tmp_path)
    other = tmp_path if config["path"] != str(tmp_path) else tmp_path / "test_batch.bin"
    with pytest.raises(ValueError, match=r"is (a|no) folder; accepted"):
        data.from_config(config | dict(path=str(other)))


@pytest.mark.parametrize(
    ("row", "changes", "message"),
    [
        ("text", dict(length=0), "length must be >= 1, got 0"),
        ("text", dict(test_fraction=0.8), "nothing is left to train on by"),
        (
            "csv_table",
            dict(test_fraction=0.0),
            "test_fraction must be in (0, 1), got 0",
        ),
        ("csv_table", dict(ignored=("a",)), "has no column 'a'; it has ['id', 'width'"),
        ("tokens", dict(dtype="float32"), "dtype must be one of ['int32', 'int64'"),
        ("cifar", dict(coarse=True), "coarse must be False for CIFAR-10"),
        ("cifar", dict(validation_fraction=0.01), "cannot cut a validation split"),
        ("interactions", dict(min_rating=6.0), "no user has 4 items of rating >= 6"),
    ],
)
def test_values_that_do_not_fit_are_named(tmp_path, row, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        data.from_config(written.written(row, tmp_path) | changes)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "has no .npy files; accepted: a folder of .npy files"),
        (dict(a=np.zeros(3), b=np.zeros(2)), "lengths are {'a': 3, 'b': 2}; accepted"),
        (dict(a=np.zeros((0, 2))), "a.npy: "),
        (dict(a=np.float32(1)), "a.npy: is empty, []; accepted: [n, ...]"),
        (dict(a=np.array([{}])), "a.npy: not a readable .npy file"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, arrays, message):
    for name, values in arrays.items():
        np.save(tmp_path / f"{name}.npy", values)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        data.open_arrays(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_truncated_array_is_named(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(30))
    cut(tmp_path, "a.npy")
    with pytest.raises(ValueError, match=r"a\.npy: not a readable \.npy file"):
        data.open_arrays(tmp_path)
