"""What a run leaves: curve, pictures, TensorBoard summary and, last, result.json."""

import csv
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import matplotlib.image
import numpy as np

from dynsparse import reports
from dynsparse.data import Split
from dynsparse.provenance import provenance
from dynsparse.training.curve import Point, trace_curve
from dynsparse.training.diagnostics import GateHealth, complaints, has_choice
from dynsparse.training.experiment import Experiment
from dynsparse.training.step import State
from dynsparse.training.writer import Writer
from dynsparse.whole import write_json

Examine = Callable[[Experiment, State, list[Point]], list[dict[str, Any]]]


def finish(
    experiment: Experiment,
    state: State,
    workdir: pathlib.Path,
    config: Mapping[str, Any],
    title: str,
    examine: Examine | None = None,
) -> dict[str, Any]:
    """Evaluates the trained `state` on the test split and writes everything.

    Args:
        experiment: What was trained.
        state: After the last step.
        workdir: Folder of the run.
        config: Plain values of the whole config.
        title: Of figures and tables.
        examine: Looks further: returns rows of plain values, which the result keeps.

    Returns:
        The content of result.json.
    """
    started = time.monotonic()
    points = trace_curve(experiment, state, experiment.dataset.test)
    _write_curve(workdir, points)
    figures = dict(curve=reports.draw_curve(workdir, title))
    if _write_kept(workdir, experiment, points):
        figures["kept"] = reports.draw_kept(workdir)
    result: dict[str, Any] = dict(
        title=title,
        **config["names"],
        **provenance(),
        seed=experiment.settings.seed,
        steps=int(state["step"]),
        parameters=sum(leaf.size for leaf in jax.tree.leaves(state["params"])),
        batch_size=experiment.settings.evaluation.batch_size,
        macs_dense=experiment.prices.dense,
        macs_floor=experiment.prices.floor,
        curve=[point.report() for point in points],
        warnings=complaints(_decided(experiment, points)),
    )
    if examine is not None:
        result["examined"] = examine(experiment, state, points)
    _write_board(workdir, int(state["step"]), config, points, figures)
    result["evaluation_seconds"] = time.monotonic() - started
    write_json(workdir / "result.json", result)
    return result


def _decided(experiment: Experiment, points: list[Point]) -> dict[str, GateHealth]:
    """Of the gates that have a choice, at the point that leaves them most of it."""
    point = min(points, key=lambda point: abs(point.density - 0.5))
    gates = experiment.trainer.gates
    return {
        name: health
        for name, health in point.health.items()
        if has_choice(gates[name], point.density)
    }


def _write_curve(workdir: pathlib.Path, points: list[Point]):
    with (workdir / "curve.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, reports.FIELDS)
        table.writeheader()
        table.writerows(point.row() for point in points)


def _write_kept(
    workdir: pathlib.Path, experiment: Experiment, points: list[Point]
) -> bool:
    """Writes kept.npz for a model with one gate over its tokens."""
    grid = experiment.grid
    if grid is None:
        return False
    split: Split = experiment.dataset.test
    number = min(experiment.settings.evaluation.num_pictures, len(split))
    found = [grid.over_picture(point.answers.masks.values()) for point in points]
    if any(len(masks) != 1 for masks in found):
        return False
    np.savez(
        workdir / "kept.npz",
        images=split.images[:number],
        patch=grid.patch,
        labels=split.labels[:number],
        densities=[point.density for point in points],
        predictions=[point.answers.predictions[:number] for point in points],
        masks=[
            masks[0][:number].reshape(number, grid.rows, grid.columns)
            for masks in found
        ],
    )
    return True


def _write_board(
    workdir: pathlib.Path,
    step: int,
    config: Mapping[str, Any],
    points: list[Point],
    figures: Mapping[str, pathlib.Path],
):
    with Writer(workdir, step) as writer:
        # TensorBoard takes plain values.
        plain = {
            key: value if isinstance(value, bool | str | int | float) else str(value)
            for key, value in reports.flattened(config)
        }
        writer.summary(step, plain, [point.row() for point in points])
        for name, path in figures.items():
            picture = matplotlib.image.imread(path)[..., :3]
            writer.image(step, name, (255 * picture).round().astype(np.uint8))
