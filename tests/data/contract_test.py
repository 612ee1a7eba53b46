"""Properties that every source must have. A new source adds a row to WRITERS."""

import json

import numpy as np
import pytest

from dynsparse import data
from tests.data import sequences_test
from tests.data.written import WRITERS, written

PARTS = ("train", "validation", "test")
LABELLED = ("idx_images", "cifar", "cifar_100", "image_folder", "wav_folder")
RECORDS = {
    "idx_images": dict(image=("uint8", (6, 5, 1)), label=("int32", ())),
    "cifar": dict(image=("uint8", (32, 32, 3)), label=("int32", ())),
    "image_folder": dict(image=("uint8", (6, 6, 3)), label=("int32", ())),
    "text": dict(token=("int32", (9,))),
    "tokens": dict(token=("int32", (9,))),
    "wav_folder": dict(
        wave=("int16", (20,)), num_samples=("int32", ()), label=("int32", ())
    ),
    "interactions": dict(
        history=("int32", (3,)), valid=("bool", (3,)), target=("int32", ())
    ),
    "csv_table": dict(features=("float32", (2,)), target=("float32", ())),
}
FACTS = {
    "idx_images": dict(num_classes=3),
    "cifar": dict(num_classes=3, class_names=["cat", "dog", "frog"]),
    "cifar_100": dict(num_classes=3),
    "image_folder": dict(num_classes=2, class_names=["ape", "bee"]),
    "tokens": dict(vocabulary=200, length=8),
    "wav_folder": dict(
        num_classes=2, class_names=["no", "yes"], samples=20, sample_rate=16_000
    ),
    "interactions": dict(num_users=2, num_items=6, length=3, padding=6),
}


@pytest.fixture(params=WRITERS)
def config(request, tmp_path):
    return written(request.param, tmp_path)


def test_every_source_has_a_row(tmp_path):
    names = set()
    for row in WRITERS:
        (tmp_path / row).mkdir()
        names.add(written(row, tmp_path / row)["name"])
    drawn = {"cluttered_digits", "friedman", *sequences_test.NAMES}  # from no file
    assert names | drawn | {"npz_images"} == set(data.available())


def test_records_are_as_documented_in_all_parts(config):
    splits = data.from_config(config)
    for part in PARTS:
        source = getattr(splits, part)
        batch = data.read_batch(source, np.arange(len(source)))
        told = {k: (v.dtype.name, v.shape[1:]) for k, v in batch.items()}
        assert told == RECORDS[config["name"]]
        for name, values in source[len(source) - 1].items():
            np.testing.assert_array_equal(values, batch[name][-1])


def test_facts_are_plain_and_as_documented(request, config):
    row = request.node.callspec.params["config"]
    facts = data.from_config(config).facts
    assert json.loads(json.dumps(facts)) == facts
    expected = FACTS.get(row, FACTS.get(config["name"], {}))
    assert facts.items() >= expected.items()


def test_the_same_config_gives_the_same_examples(config):
    first, second = data.from_config(config), data.from_config(config)
    for part in PARTS:
        indices = np.arange(len(getattr(first, part)))
        batches = [data.read_batch(getattr(s, part), indices) for s in (first, second)]
        for name, values in batches[0].items():
            np.testing.assert_array_equal(values, batches[1][name])


@pytest.mark.parametrize("config", LABELLED, indirect=True)
def test_labels_are_numbers_of_classes_in_all_parts(config):
    splits = data.from_config(config)
    for part in PARTS:
        source = getattr(splits, part)
        labels = data.read_batch(source, np.arange(len(source)))["label"]
        assert set(labels) <= set(range(splits.facts["num_classes"]))
