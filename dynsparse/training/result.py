"""Results of a trained run: curve, examples, TensorBoard summary and result.json."""

import os
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import matplotlib.image
import numpy as np

from dynsparse import reports
from dynsparse._internal.atomic_write import write_json
from dynsparse._internal.provenance import provenance
from dynsparse.data import read_batch
from dynsparse.reports.tables import write_csv
from dynsparse.tasks.base import Shown
from dynsparse.training.evaluation.curve import Point, trace_curve
from dynsparse.training.evaluation.diagnostics import (
    GateHealth,
    gate_warnings,
    has_choice,
)
from dynsparse.training.evaluation.evaluate import evaluate
from dynsparse.training.evaluation.forward import compile_forward
from dynsparse.training.folder.metrics import Writer
from dynsparse.training.prepare import PreparedRun
from dynsparse.training.progress import Phase
from dynsparse.training.step import State

Examine = Callable[[PreparedRun, State, list[Point]], list[dict[str, Any]]]


def finish(
    prepared: PreparedRun,
    state: State,
    workdir: str | os.PathLike[str],
    config: Mapping[str, Any],
    title: str,
    examine: Examine | None = None,
) -> dict[str, Any]:
    """Evaluates a trained state on the test split and writes all results.

    >>> from dynsparse.configs import cluttered_digits
    >>> config = cluttered_digits.get_config("dense")
    >>> config.data.num_train = config.data.num_validation = config.data.num_test = 64
    >>> config.evaluation.latency_repeats = config.model.depth = 1
    >>> run = training.prepare(config.to_dict())
    >>> result = training.finish(
    ...     run, run.initial_state, "runs/untrained", config.to_dict(), "untrained"
    ... )
    evaluating the model on 64 test images ...
    >>> [point["budget"] for point in result["curve"]]
    [1.0]

    Args:
        prepared: Run of the state.
        state: State after the last step.
        workdir: Folder of the run; gets curve.csv, curve.png, what the task draws,
            TensorBoard files and, last, result.json.
        config: Plain values of the whole config.
        title: Title of figures and tables.
        examine: Further analysis, `(prepared, state, points) -> rows` of plain values,
            kept in the result under `examined`.

    Returns:
        The content of result.json.
    """
    started = time.monotonic()
    workdir = pathlib.Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    points = trace_curve(prepared, state, prepared.task.test)
    everything = _everything_open(prepared, state)
    write_csv(workdir / "curve.csv", [point.row() for point in points])
    with Phase("drawing"):
        metric = _metric(prepared)
        curve = reports.draw_curve(workdir, title, metric, dense_score=everything)
        figures = dict(curve=curve) | _drawn(workdir, prepared, points)
    result: dict[str, Any] = dict(
        title=title,
        **config["names"],
        **provenance(),
        seed=prepared.settings.seed,
        steps=int(state["step"]),
        parameters=sum(leaf.size for leaf in jax.tree.leaves(state["params"])),
        batch_size=prepared.settings.evaluation.batch_size,
        macs_dense=prepared.prices.dense,
        macs_floor=prepared.prices.floor,
        metric=metric._asdict(),
        curve=[point.report() for point in points],
        everything_open=everything,
        warnings=[*gate_warnings(_decided(prepared, points)), *_busy(points)],
    )
    if examine is not None:
        with Phase("examining"):
            result["examined"] = examine(prepared, state, points)
    _write_board(workdir, config, points, figures, result)
    result["evaluation_seconds"] = time.monotonic() - started
    write_json(workdir / "result.json", result)
    return result


def _everything_open(prepared: PreparedRun, state: State) -> float | None:
    """Test score with all gates open, for models whose curve is one point."""
    closing = [g for g in prepared.trainer.gates.values() if g.count != "full"]
    if not closing or prepared.densities != (None,):
        return None
    forward = compile_forward(prepared.trainer, execution="dense")
    with Phase("evaluating with everything open"):
        return evaluate(forward, prepared, state, prepared.task.test).score


def _busy(points: list[Point]) -> list[str]:
    rows = [point.row() for point in points]
    if not reports.is_busy(rows):
        return []
    ratio = rows[0]["dense_again"]
    return [f"{reports.BUSY}: the dense model took {ratio:.2f} of its own time"]


def _decided(prepared: PreparedRun, points: list[Point]) -> dict[str, GateHealth]:
    """Health of the gates at the density nearest to a half, if they have a choice."""
    point = min(points, key=lambda point: abs(point.density - 0.5))
    gates = prepared.trainer.gates
    return {
        name: health
        for name, health in point.health.items()
        if has_choice(gates[name], point.density)
    }


def _metric(prepared: PreparedRun) -> reports.Metric:
    task = prepared.task
    return reports.Metric(
        name=task.metric,
        unit=task.unit,
        higher_is_better=task.higher_is_better,
        noun=task.noun,
    )


def _drawn(
    workdir: pathlib.Path, prepared: PreparedRun, points: list[Point]
) -> dict[str, pathlib.Path]:
    """What the task draws of the first test examples, by the name of the figure."""
    task, number = prepared.task, prepared.settings.evaluation.num_examples
    number = min(number, len(task.test))
    if task.draw is None or not number:
        return {}
    shown = [point.answers.shown for point in points]
    name = task.draw(
        workdir,
        Shown(
            batch=read_batch(task.test, range(number)),
            densities=[point.density for point in points],
            outputs=[outputs for outputs, _ in shown],
            masks=[masks for _, masks in shown],
            grid=prepared.grid,
        ),
    )
    return {} if name is None else {pathlib.Path(name).stem: workdir / name}


def _write_board(
    workdir: pathlib.Path,
    config: Mapping[str, Any],
    points: list[Point],
    figures: Mapping[str, pathlib.Path],
    result: Mapping[str, Any],
):
    rows, step = [point.row() for point in points], result["steps"]
    with Writer(workdir, step) as writer:
        settings, first = reports.other_settings(config), reports.telling(config)
        metric = result["metric"]["name"]
        writer.summary(step, settings, rows, first, metric)
        writer.tensorboard.text("run", reports.run_in_words(result, config, workdir))
        for name, path in figures.items():
            pixels = matplotlib.image.imread(path)[..., :3]
            writer.tensorboard.image(
                step, name, (255 * pixels).round().astype(np.uint8)
            )
