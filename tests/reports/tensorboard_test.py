"""TensorBoard of a sweep, read back."""

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2

from dynsparse import reports
from tests.reports import fake_sweep


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    rows = fake_sweep.write_summary(folder)
    reports.write_board(folder, rows)  # once more: nothing doubles
    return folder


def events(folder):
    loaded = EventAccumulator(str(folder), size_guidance=dict(scalars=0, images=0))
    loaded.Reload()
    return loaded


def test_the_summary_holds_the_figure_and_the_report(sweep):
    board = events(sweep / "_summary")
    (image,) = board.Images("figure")
    assert image.encoded_image_string.startswith(b"\x89PNG")
    assert (image.width, image.height) > (900, 400)
    (tag,) = (tag for tag in board.Tags()["tensors"] if tag.startswith("report"))
    (text,) = board.Tensors(tag)
    (words,) = text.tensor_proto.string_val
    assert "| soft_topk |" in words.decode()
    assert "![" not in words.decode()


def test_the_layout_has_accuracy_and_density_of_all_methods(sweep):
    board = events(sweep / "_summary")
    (event,) = board.Tensors("custom_scalars__config__")
    found = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    (category,) = found.category
    assert category.title == sweep.name
    tags = [tag for chart in category.chart for tag in chart.multiline.tag]
    assert {"methods/accuracy", "validation/accuracy", "train/density"} <= set(tags)


@pytest.mark.parametrize("method", fake_sweep.ACCURACY)
def test_a_method_is_one_line_of_means_over_kflops(sweep, method):
    line = events(sweep / "_summary" / f"{method}@kflops").Scalars("methods/accuracy")
    rows = [row for row in fake_sweep.read_sweep(sweep) if row["method"] == method]
    expected = {}
    for row in rows:
        kflops = round(row["flops_mean"] / 1000)
        expected.setdefault(kflops, []).append(row["accuracy"])
    assert [event.step for event in line] == sorted(expected)
    np.testing.assert_allclose(
        [event.value for event in line],
        [np.mean(expected[step]) for step in sorted(expected)],
        rtol=1e-6,
    )


def test_the_summary_is_no_trial(sweep):
    assert {row["method"] for row in fake_sweep.read_sweep(sweep)} == set(
        fake_sweep.ACCURACY
    )
