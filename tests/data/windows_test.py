"""Windows of characters and tokens: what is read, and which part it is of."""

import pathlib

import numpy as np
import pytest

from dynsparse import data
from dynsparse.data.base.windows import Windows
from tests.data import written

whole = lambda source: data.read_batch(source, np.arange(len(source)))["token"]


@pytest.mark.parametrize("number", [5, 6, 8, 9, 21])
@pytest.mark.parametrize("stride", [1, 3, 4, 7])
def test_windows_are_all_those_that_fit(number, stride):
    tokens = np.arange(number)
    windows = Windows(tokens, length=4, stride=stride, vocabulary=99, where="x")
    starts = [s for s in range(0, number, stride) if s + 5 <= number]
    np.testing.assert_array_equal(whole(windows), [tokens[s : s + 5] for s in starts])


def test_at_a_stride_of_the_length_each_token_is_predicted_once():
    windows = Windows(np.arange(23), length=4, stride=4, vocabulary=99, where="x")
    np.testing.assert_array_equal(whole(windows)[:, 1:].ravel(), np.arange(1, 21))


def test_a_number_outside_is_no_window():
    windows = Windows(np.arange(9), length=4, stride=4, vocabulary=99, where="x")
    assert len(list(windows)) == len(windows) == 2  # ends by an IndexError
    with pytest.raises(IndexError):
        windows[2]


def decoded(splits, source):
    """The text that windows without overlap show, but for its first character."""
    return "".join(splits.facts["characters"][i] for i in whole(source)[:, 1:].ravel())


def test_text_is_split_by_position_and_decodes_to_itself(tmp_path):
    config = written.written("text", tmp_path) | dict(stride=8)
    splits = data.from_config(config)
    text = written.TEXT
    cut, end = len(text) - 2 * round(len(text) / 5), len(text) - round(len(text) / 5)
    for source, part in [
        (splits.train, text[:cut]),
        (splits.validation, text[cut:end]),
    ]:
        shown = decoded(splits, source)
        assert part[1 : 1 + len(shown)] == shown
        assert len(part) - len(shown) <= 8


def test_the_vocabulary_is_of_the_training_part_and_one_for_all_others(tmp_path):
    text = "abcab" * 20 + "azébz" * 10
    (tmp_path / "text.txt").write_text(text, "utf-8")
    config = written.text(tmp_path) | dict(validation_fraction=0.3, test_fraction=0.1)
    (tmp_path / "text.txt").write_text(text, "utf-8")
    splits = data.from_config(dict(name="text") | config)
    assert splits.facts["characters"] == "abc\ufffd"
    assert splits.facts["vocabulary"] == 4
    seen = text.translate(dict.fromkeys(map(ord, "zé"), "\ufffd"))
    shown = decoded(splits, splits.test)
    assert seen[-15 + 1 :].startswith(shown)
    assert "\ufffd" in shown


def test_line_ends_and_characters_of_four_bytes_are_characters(tmp_path):
    (tmp_path / "text.txt").write_bytes("a\r\n😀".encode() * 40)
    settings = dict(length=4, stride=4, validation_fraction=0.25, test_fraction=0.25)
    splits = data.from_config(
        dict(name="text", path=str(tmp_path / "text.txt"), **settings)
    )
    assert splits.facts["characters"] == "\n\ra😀\ufffd"
    assert decoded(splits, splits.train).startswith("\r\n😀a")


@pytest.mark.parametrize("row", ["text", "tokens"])
def test_windows_overlap_in_training_alone(tmp_path, row):
    splits = data.from_config(written.written(row, tmp_path) | dict(stride=1))
    length = splits.facts["length"]
    for source, step in ((splits.train, 1), (splits.validation, length)):
        np.testing.assert_array_equal(
            source[1]["token"][: length + 1 - step], source[0]["token"][step:]
        )
    assert len(splits.test) < len(splits.train) / length


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "int64"])
@pytest.mark.parametrize("ending", [".bin", ".npy"])
def test_tokens_of_any_file_are_the_same(tmp_path, dtype, ending):
    file = tmp_path / f"all{ending}"
    tokens = np.arange(200, dtype=dtype)
    tokens.tofile(file) if ending == ".bin" else np.save(file, tokens)
    config = written.tokens(tmp_path) | dict(path=str(file), dtype=dtype, stride=8)
    splits = data.from_config(dict(name="tokens") | config)
    for source, first in ((splits.train, 0), (splits.validation, 120)):
        expected = first + 8 * np.arange(len(source))[:, None] + np.arange(9)
        np.testing.assert_array_equal(whole(source), expected)


@pytest.mark.parametrize(
    ("names", "firsts"),
    [
        (("train", "val"), (0, 80, 1000)),
        (("train", "test"), (0, 80, 1000)),
        (("train", "val", "test"), (0, 1000, 2000)),
    ],
)
def test_parts_of_a_folder_of_tokens(tmp_path, names, firsts):
    for index, name in enumerate(names):
        tokens = np.arange(100, dtype=np.uint16) + 1000 * index
        np.save(tmp_path / f"{name}.npy", tokens)
    config = written.tokens(tmp_path) | dict(path=str(tmp_path), vocabulary=3000)
    splits = data.from_config(dict(name="tokens") | config)
    parts = splits.train, splits.validation, splits.test
    assert tuple(int(p[0]["token"][0]) for p in parts) == firsts


def anonymous_bytes():
    """Memory of this process that is of no file."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    found = [line.split()[1] for line in lines if line.startswith("RssAnon")]
    return 1024 * int(found[0])


@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="no /proc")
def test_reading_a_file_of_64_mb_leaves_anonymous_memory_flat(tmp_path):
    """The bound is that of 200 MB for a file of 4 GB."""
    size, file = 64 * 2**20, tmp_path / "tokens.bin"
    (tmp_path / "tiny").mkdir()
    with file.open("wb") as opened:
        opened.truncate(size)  # sparse: all tokens are 0
    settings = dict(dtype="uint16", vocabulary=2, length=1023, stride=1024)
    cuts = dict(validation_fraction=0.01, test_fraction=0.01)
    data.from_config(written.written("tokens", tmp_path / "tiny")).train[0]
    before = anonymous_bytes()
    splits = data.from_config(dict(name="tokens", path=str(file)) | settings | cuts)
    order = np.random.default_rng(0).permutation(len(splits.train))
    for first in range(0, len(order), 64):
        splits.train.read_batch(order[first : first + 64])
    assert anonymous_bytes() - before < size * 200 / 4096


def test_rows_of_a_folder_of_arrays_are_read_from_the_disk(tmp_path):
    image = written.images(40, 6, 5, 1)
    np.save(tmp_path / "image.npy", image)
    np.save(tmp_path / "label.npy", np.arange(40))
    (tmp_path / "notes.txt").write_text("no array")
    source = data.open_arrays(tmp_path)
    assert source.arrays.keys() == {"image", "label"}
    assert all(not array.flags.owndata for array in source.arrays.values())
    batch = source.read_batch([7, 3])
    np.testing.assert_array_equal(batch["image"], image[[7, 3]])
    np.testing.assert_array_equal(batch["label"], [7, 3])
