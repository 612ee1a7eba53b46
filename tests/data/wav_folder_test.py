"""Sounds: their samples, and which part a speaker is in."""

import numpy as np
import pytest

from dynsparse import data
from dynsparse.data import wav_folder
from tests.data import written


def test_short_sounds_are_padded_and_long_ones_cut(tmp_path):
    splits = data.from_config(written.written("wav_folder", tmp_path))
    parts = splits.train, splits.validation, splits.test
    for part, number in zip(parts, (10, 20, 30), strict=True):
        record, expected = part[0], np.zeros(20, np.int16)
        expected[: min(number, 20)] = np.arange(min(number, 20))
        np.testing.assert_array_equal(record["wave"], expected)
        assert record["num_samples"] == min(number, 20)


def test_lists_say_what_is_not_trained_on(tmp_path):
    splits = data.from_config(written.written("wav_folder", tmp_path))
    counts = tuple(map(len, (splits.train, splits.validation, splits.test)))
    assert counts == (4, 1, 1)
    assert splits.validation.names.tolist() == [b"00000001_nohash_0.wav"]
    assert splits.test.names.tolist() == [b"00000002_nohash_0.wav"]


def test_without_lists_a_speaker_is_in_one_part(tmp_path):
    config = written.written("wav_folder", tmp_path)
    for name in ("validation_list.txt", "testing_list.txt"):
        (tmp_path / name).unlink()
    for word in ("no", "yes"):
        for speaker in range(40):
            for take in range(2):
                file = tmp_path / word / f"{speaker:08x}_nohash_{take}.wav"
                file.touch()  # the split reads names alone
    splits = data.from_config(config)
    parts = [splits.train, splits.validation, splits.test]
    speakers = [{name[:8] for name in part.names.tolist()} for part in parts]
    assert sum(map(len, speakers)) == len(set().union(*speakers)) == 40
    assert len(speakers[0]) > len(speakers[1])


@pytest.mark.parametrize("speaker", ["2d82a556", "c7dc7278", "b737ee80", "a2473d62"])
def test_the_hash_is_that_of_speech_commands(speaker):
    """These speakers are in testing_list.txt of version 2, at 10 % and 10 %."""
    assert 0.1 <= wav_folder._share(f"{speaker}_nohash_0.wav".encode()) < 0.2
