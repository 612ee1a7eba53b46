"""TensorBoard of runs, read back: what tells them apart, and where."""

import inspect

import numpy as np
import pytest
from tensorboard import context
from tensorboard.backend.event_processing import (
    data_provider,
    plugin_event_multiplexer,
)
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import backend_context

from configs import cluttered_digits
from dynsparse import reports
from dynsparse.training.folder.metrics import Means
from dynsparse.training.folder.tensorboard import TensorBoard, short_names, tagged

ROWS = [
    dict(density=d, accuracy=a, flops_mean=1e6 * d, latency_ms=1.0)
    for d, a in ((1.0, 0.9), (0.45, 0.8))
]


def hparams(folder):
    """The columns of the HParams tab, in its order."""
    events = plugin_event_multiplexer.EventMultiplexer()
    events.AddRunsFromDirectory(str(folder))
    events.Reload()
    provider = data_provider.MultiplexerDataProvider(events, str(folder))
    asked = base_plugin.TBContext(data_provider=provider, logdir=str(folder))
    board, ctx = backend_context.Context(asked), context.RequestContext()
    given = dict(ctx=ctx, experiment_id="", include_metrics=True)
    given |= dict(data_provider_hparams=[])
    given["hparams_run_to_tag_to_content"] = board.hparams_metadata(ctx, "")
    names = inspect.signature(board.experiment_from_metadata).parameters
    shown = board.experiment_from_metadata(
        **{key: value for key, value in given.items() if key in names}
    )
    return [info.name for info in shown.hparam_infos], events.Runs()


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    arguments = dict(a="soft_topk", b="gumbel_sigmoid", c="gumbel_sigmoid,resnet")
    for seed, (name, argument) in enumerate(arguments.items()):
        config = cluttered_digits.get_config(argument).to_dict() | dict(seed=seed)
        (folder / name).mkdir()
        with TensorBoard(folder / name, 1) as board:
            board.scalars(1, "validation", dict(accuracy=0.5))
            settings = reports.other_settings(config)
            board.summary(1, settings, ROWS, reports.telling(config), "accuracy")
    return hparams(folder)


def test_the_first_columns_tell_runs_apart_in_order(compared):
    columns = [name.strip() for name in compared[0]]
    differing = ["method", "model", "granularity", "budget", "density", "seed"]
    assert columns[: len(differing)] == differing


def test_every_setting_of_every_run_has_a_column(compared):
    assert {"budget.sampling.low", "budget.penalties.target_rate.target"} <= set(
        compared[0]
    )


def test_a_run_has_two_entries(compared):
    assert set(compared[1]) == {
        f"{run}{end}" for run in "abc" for end in ("", "/@kflops")
    }


@pytest.mark.parametrize(
    ("paths", "short"),
    [
        (["body/layers/0/branch", "body/layers/1/branch"], ["0", "1"]),
        (["blocks/0/mlp", "blocks/0/heads", "x/0/mlp"], None),
        (["a/0/b/0/c", "a/0/b/1/c", "a/1/b/0/c"], ["0.b.0", "0.b.1", "1.b.0"]),
        (["body"], ["body"]),
        ([""], [""]),
    ],
)
def test_gates_are_named_by_what_tells_them_apart(paths, short):
    found = list(short_names(paths).values())
    assert len(set(found)) == len(paths)
    assert short is None or found == short


def test_no_group_of_charts_is_spoilt_by_another():
    values = {
        "accuracy": 0.5,
        "accuracy_at_1": 0.6,
        "density/a/0": 0.2,
        "density/a/1": 1,
    }
    assert tagged("validation", values) == {
        "validation/accuracy": 0.5,
        "validation_by_density/accuracy_at_1": 0.6,
        "validation_gates/density/0": 0.2,
        "validation_gates/density/1": 1,
    }


def test_means_are_over_all_steps_since_the_last():
    means = Means()
    for value in (1.0, 2.0, 6.0):
        means.add(dict(loss=value))
    assert means.take() == dict(loss=3.0)
    means.add(dict(loss=5.0))
    assert means.take() == dict(loss=5.0)


@pytest.mark.parametrize("rows", [b"", b'{"step": 1}\n'])
def test_sums_travel_behind_the_rows_of_a_checkpoint(rows):
    means, values = Means(), np.random.default_rng(0).random(3)
    for value in values[:2]:
        means.add(dict(loss=float(value)))
    found, resumed = Means.split(means.joined(rows))
    assert found == rows
    for one in (means, resumed):
        one.add(dict(loss=float(values[2])))
    assert resumed.take() == means.take()
