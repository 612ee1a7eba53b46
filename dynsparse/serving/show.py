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
from dynsparse.costs import Prices
from dynsparse.data import Dataset
from dynsparse.serving.ladder import Inputs, Ladder
from dynsparse.serving.replay import Row
from dynsparse.serving.trial import (
    PATIENCE,
    build_ladder,
    group,
    try_policies,
    write_rows,
)
from dynsparse.stop_signal import StopSignal

_BAR = 20  # characters
_COUNTED = ("requests", "in time", "answered", "right")


def serve_run(
    model: nnx.Module,
    prices: Prices,
    dataset: Dataset,
    run: pathlib.Path,
    *,
    inputs: Sequence[Inputs],
    load: str,
    seconds: float,
    size: int,
    rungs: int,
    lowest: float,
    seed: int,
    title: str,
    console: Console,
) -> bool:
    """Replays a load against the ladder of a model, once per policy.

    Writes ladder.json, serving.csv and serving.png. What was measured is written too
    when Ctrl-C stops it.

    Args:
        model: That was trained.
        prices: Of it.
        dataset: Its test pictures make the requests.
        run: Folder to write into.
        inputs: Batches of the training, as in `Ladder.compile`.
        load: One of `PROFILES`.
        seconds: Of each replay.
        size: Examples per request.
        rungs: Of the ladder, at most.
        lowest: Budget of its lowest.
        seed: Of the arrivals.
        title: Of table and figure.
        console: Where to show it.

    Returns:
        Whether every policy was replayed to its end.

    Raises:
        ValueError: If there are fewer pictures than a request has.
    """
    split = dataset.test
    if len(split) < size:
        raise ValueError(f"request_size {size} exceeds the {len(split)} test pictures.")
    asked = np.asarray(dataset.inputs(split.images))
    with console.status("compiling and timing the rungs"):
        ladder = build_ladder(
            model,
            prices,
            asked[: max(size, 64)],
            rungs=rungs,
            size=size,
            lowest=lowest,
            inputs=inputs,
        )
    ladder.save(run / "ladder.json")
    deadline = PATIENCE * ladder.seconds(len(ladder.rungs) - 1, size)
    console.print(_ladder_lines(ladder, size, deadline))
    requests = group(asked, split.labels, size=size, deadline=deadline)
    rows: list[Row] = []
    with StopSignal(only_first=True) as stop, _Watch(console, rows) as watch:
        try_policies(
            ladder,
            requests,
            load=load,
            seconds=seconds,
            seed=seed,
            watch=watch,
            stopped=lambda: stop.times > 0,
        )
    if rows:
        rows.sort(key=lambda row: row["policy"] != "controller")  # stable
        write_rows(run / "serving.csv", rows)
        console.print(reports.serving_table(rows, title))
        console.print(f"figure  {reports.draw_serving(run, title, deadline)}")
    return not stop.times


def _ladder_lines(ladder: Ladder, size: int, deadline: float) -> str:
    lines = [
        f"rung {index}: {rung.budget:.3f} of the dense MACs, "
        f"{1e3 * rung.seconds[size]:.1f} ms, {rung.peak_bytes[size] / 1e6:.1f} MB"
        for index, rung in enumerate(ladder.rungs)
    ]
    if len(ladder.rungs) == 1:
        lines.append("one rung: the gates of this run have no density to choose")
    device = jax.devices()[0].device_kind
    lines.append(f"requests of {size}, deadline {1e3 * deadline:.0f} ms, on {device}")
    return "\n".join(lines)


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
                ("answered", row["rung"] is not None),
                ("right", row["right"] or 0.0),
            ):
                self._seen[row["policy"], what] += by
            seen = {what: self._seen[row["policy"], what] for what in _COUNTED}
        in_time = seen["in time"] / seen["requests"]
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
                f"in time {in_time:.1%}  accuracy {accuracy:.1%}"
            )
        )
