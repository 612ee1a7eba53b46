"""Serving a run for people: a live line, then a table, a csv and a figure."""

import collections
import pathlib
import threading
from collections.abc import Sequence

import jax
import numpy as np
from flax import nnx
from rich.console import Console
from rich.live import Live
from rich.text import Text

from dynsparse import reports
from dynsparse._internal.stop_signal import StopSignal
from dynsparse.costs import Prices
from dynsparse.data import Dataset, Split
from dynsparse.serving.examples import Inputs
from dynsparse.serving.ladder import Ladder
from dynsparse.serving.replay import Row
from dynsparse.serving.trial import (
    PATIENCE,
    build_ladder,
    group,
    try_policies,
    write_rows,
)

_BAR = 20  # characters
_COUNTED = ("requests", "in time", "right in time", "answered", "right")


def serve_run(
    model: nnx.Module,
    prices: Prices,
    dataset: Dataset,
    folder: pathlib.Path,
    *,
    inputs: Sequence[Inputs],
    load: str,
    seconds: float,
    rounds: int,
    size: int,
    rungs: int,
    lowest: float,
    least_density: float,
    least_accuracy: float,
    seed: int,
    title: str,
    console: Console,
    stop: StopSignal,
) -> bool:
    """Replays a load against the ladder of a model, once per round and policy.

    Writes ladder.json, serving.csv and serving.png. What was measured is written too
    when a signal stops it.

    Args:
        model: That was trained.
        prices: Of it.
        dataset: Its test images make the requests; on its validation images the
            accuracy of each rung is measured.
        folder: To write into.
        inputs: Batches of the training, as in `Ladder.compile`.
        load: One of `PROFILES`.
        seconds: Of each replay.
        rounds: In which every policy is tried once.
        size: Examples per request.
        rungs: Of the ladder, at most.
        lowest: Budget of its lowest, where the least density does not spend more.
        least_density: That the model was trained at: no rung is below it.
        least_accuracy: On the validation split, of each rung that the controller may
            choose.
        seed: Of the arrivals.
        title: Of table and figure.
        console: Where to show it.
        stop: Ends it early.

    Returns:
        Whether every policy was replayed to its end.

    Raises:
        ValueError: If there are fewer images than a request has, or no rung has the
            least accuracy.
        KeyboardInterrupt: If it was stopped before anything was measured.
    """
    asked, validation = dataset.test, dataset.validation
    if len(asked) < size:
        raise ValueError(f"request_size {size} exceeds the {len(asked)} test images.")
    with console.status("billing the model") as status:

        def said(words: str):
            if stop.times:
                raise KeyboardInterrupt
            status.update(words)

        images = _as_seen(dataset, asked)
        ladder = build_ladder(
            model,
            prices,
            images[: max(size, 64)],
            rungs=rungs,
            size=size,
            lowest=lowest,
            least_density=least_density,
            labelled=(_as_seen(dataset, validation), validation.labels),
            inputs=inputs,
            watch=said,
        )
    chosen = ladder.front(least_accuracy)
    ladder.save(folder / "ladder.json")
    deadline = PATIENCE * ladder.seconds(len(ladder.rungs) - 1, size)
    console.print(_ladder_lines(ladder, size, deadline, chosen), highlight=False)
    requests = group(images, asked.labels, size=size, deadline=deadline)
    rows: list[Row] = []
    with _Watch(console, rows) as watch:
        try_policies(
            ladder,
            requests,
            load=load,
            seconds=seconds,
            rounds=rounds,
            seed=seed,
            rungs=chosen,
            watch=watch,
            stopped=lambda: stop.times > 0,
        )
    if rows:
        rows.sort(key=lambda row: row["policy"] != "controller")  # stable
        write_rows(folder / "serving.csv", rows)
        console.print(reports.serving_table(rows, title))
        console.print(f"figure  {reports.draw_serving(folder, title, deadline)}")
    return not stop.times


def _as_seen(dataset: Dataset, split: Split) -> np.ndarray:
    return np.asarray(dataset.inputs(split.images))


def _ladder_lines(
    ladder: Ladder, size: int, deadline: float, chosen: Sequence[int]
) -> str:
    lines = []
    for index, rung in enumerate(ladder.rungs):
        density = "" if rung.density is None else f"density {rung.density:.3f}, "
        lines.append(
            f"rung {index}: {density}{rung.budget:.3f} of the dense MACs, "
            f"{1e3 * rung.seconds[size]:.1f} ms, {rung.peak_bytes[size] / 1e6:.1f} MB, "
            f"validation accuracy {100 * (rung.accuracy or 0):.1f} %"
        )
        if index not in chosen:
            lines[-1] += f" ({_why_not(ladder, index)}: the controller skips it)"
    if ladder.rungs[0].density is None:
        lines.append("one rung: the gates of this run have no density to choose")
    elif len(ladder.rungs) == 1:
        lines.append("one rung: the run was trained at no lower density")
    device = jax.devices()[0].device_kind
    lines.append(f"requests of {size}, deadline {1e3 * deadline:.0f} ms, on {device}")
    return "\n".join(lines)


def _why_not(ladder: Ladder, index: int) -> str:
    if index in ladder.front():
        return "below --least_accuracy"
    return "another is as fast and as accurate"


class _Watch:
    """Gathers rows and shows the newest; called from the server's thread."""

    def __init__(self, console: Console, rows: list[Row]):
        self._live = Live(console=console, refresh_per_second=8, transient=True)
        self._rows = rows
        self._seen: dict[tuple[str, str], float] = collections.defaultdict(float)
        self._lock = threading.Lock()

    def __enter__(self) -> "_Watch":
        self._live.__enter__()
        return self

    def __exit__(self, *error):
        self._live.__exit__(*error)

    def __call__(self, row: Row):
        with self._lock:
            self._rows.append(row)
            for what, by in (
                ("requests", 1),
                ("in time", row["in_time"]),
                ("right in time", row["right_in_time"]),
                ("answered", row["rung"] is not None),
                ("right", row["right"] or 0.0),
            ):
                self._seen[row["policy"], what] += by
            seen = {what: self._seen[row["policy"], what] for what in _COUNTED}
        in_time = seen["in time"] / seen["requests"]
        right = seen["right in time"] / seen["requests"]
        accuracy = seen["right"] / max(seen["answered"], 1)
        if row["rung"] is None:
            state = f"refused: {row['reason']}"
        else:
            filled = round(_BAR * row["budget"])
            bar = "█" * filled + "·" * (_BAR - filled)
            state = f"{bar} rung {row['rung']}  {1e3 * row['seconds']:6.1f} ms"
        self._live.update(
            Text(
                f"{row['policy']:<10} {row['arrival']:5.1f} s  {state}  "
                f"in time {in_time:.1%}  accuracy {accuracy:.1%}  both {right:.1%}"
            )
        )
