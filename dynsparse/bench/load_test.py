"""Load test of a trained model: a live line, then a table, a CSV file and a figure."""

import collections
import dataclasses
import pathlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import PyTree
from rich.console import Console
from rich.live import Live
from rich.text import Text

from dynsparse import reports
from dynsparse.bench.options import LoadTestOptions
from dynsparse.bench.policies import PATIENCE, replay_policies
from dynsparse.bench.replay import FIELDS, LabelledRequests, Row
from dynsparse.data import Dataset, Split
from dynsparse.reports.tables import write_csv
from dynsparse.serving import Ladder, geometric_budgets

_BAR = 20  # characters


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A trained model and its data.

    Attributes:
        name: Name of the run, for titles.
        model: The trained model.
        dataset: Its test images make the requests; each rung's accuracy is measured on
            its validation images.
        inputs: Training batches, as in `Ladder.compile`.
        least_density: Smallest density that the model was trained at, in [0, 1].
    """

    name: str
    model: nnx.Module
    dataset: Dataset
    inputs: Sequence[PyTree] = ()
    least_density: float = 0.0

    def seen(self, split: Split) -> np.ndarray:
        """Returns the images of a split as the model takes them."""
        return np.asarray(self.dataset.inputs(split.images))

    def ladder(
        self,
        examples: np.ndarray,
        *,
        rungs: int,
        lowest: float,
        size: int,
        watch: Callable[[str], None] = lambda words: None,
    ) -> Ladder:
        """Compiles a ladder of the model for requests of one size.

        Args:
            examples: Inputs to time the programs with.
            rungs: As in `geometric_budgets`.
            lowest: As in `geometric_budgets`.
            size: Examples per request.
            watch: As in `Ladder.compile`.
        """
        example = jax.ShapeDtypeStruct((1, *examples.shape[1:]), examples.dtype)
        budgets = geometric_budgets(
            self.model,
            example,
            rungs=rungs,
            lowest=lowest,
            least_density=self.least_density,
        )
        validation = self.dataset.validation
        return Ladder.compile(
            self.model,
            examples=examples,
            budgets=budgets,
            batch_sizes=(size,),
            inputs=self.inputs,
            labelled=(self.seen(validation), validation.labels),
            least_density=self.least_density,
            watch=watch,
        )


def run_load_test(
    served: ServedModel,
    options: LoadTestOptions,
    folder: pathlib.Path,
    *,
    console: Console,
    stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """Replays a load against a trained model, once per round and policy.

    Writes ladder.json, serving.csv and serving.png, also when it is stopped early.

    Args:
        served: Trained model and its data.
        options: Load, size of the requests and budgets.
        folder: Existing folder to write into.
        console: Console to show progress and results on.
        stopped: Returns True once a person has asked for an early end.

    Returns:
        Whether every policy was replayed to its end.

    Raises:
        ValueError: If there are fewer images than a request has, or no rung has the
            least accuracy.
        KeyboardInterrupt: If it was stopped before anything was measured.
    """
    size, test = options.request_size, served.dataset.test
    if len(test) < size:
        raise ValueError(f"request_size {size} exceeds the {len(test)} test images.")
    with console.status("billing the model") as status:

        def told(words: str):
            if stopped():
                raise KeyboardInterrupt
            status.update(words)

        images = served.seen(test)
        ladder = served.ladder(
            images[: max(size, 64)],
            rungs=options.rungs,
            lowest=options.lowest,
            size=size,
            watch=told,
        )
    usable = ladder.front(options.least_accuracy)
    ladder.save(folder / "ladder.json")
    deadline = PATIENCE * ladder.seconds(len(ladder.rungs) - 1, size)
    console.print(_ladder_lines(ladder, size, deadline, usable), highlight=False)
    with _LiveLine(console) as live:
        replay_policies(
            ladder,
            LabelledRequests.cut(images, test.labels, size=size, deadline=deadline),
            load=options.load,
            seconds=options.seconds,
            rounds=options.rounds,
            seed=options.seed,
            rungs=usable,
            watch=live,
            stopped=stopped,
        )
    if live.rows:
        title = f"{served.name} under {options.load} load"
        rows = sorted(live.rows, key=lambda row: row["policy"] != "controller")
        measured = [{key: row[key] for key in ("round", *FIELDS)} for row in rows]
        write_csv(folder / "serving.csv", measured)
        console.print(reports.serving_table(rows, title))
        console.print(f"figure  {reports.draw_serving(folder, title, deadline)}")
    return not stopped()


def _ladder_lines(
    ladder: Ladder, size: int, deadline: float, usable: Sequence[int]
) -> str:
    lines = []
    for index, rung in enumerate(ladder.rungs):
        density = "" if rung.density is None else f"density {rung.density:.3f}, "
        lines.append(
            f"rung {index}: {density}{rung.budget:.3f} of the dense MACs, "
            f"{1e3 * rung.seconds[size]:.1f} ms, {rung.peak_bytes[size] / 1e6:.1f} MB, "
            f"validation accuracy {100 * (rung.accuracy or 0):.1f} %"
        )
        if index not in usable:
            reason = "another rung is as fast and as accurate"
            if index in ladder.front():
                reason = "below --least_accuracy"
            lines[-1] += f" ({reason}: the controller skips it)"
    if ladder.rungs[0].density is None:
        lines.append("one rung: the gates of this run have no density to choose")
    elif len(ladder.rungs) == 1:
        lines.append("one rung: the run was trained at no lower density")
    device = jax.devices()[0].device_kind
    lines.append(f"requests of {size}, deadline {1e3 * deadline:.0f} ms, on {device}")
    return "\n".join(lines)


class _LiveLine:
    """Keeps rows and shows the newest; the server's thread calls it."""

    def __init__(self, console: Console):
        self.rows: list[Row] = []
        self._live = Live(console=console, refresh_per_second=8, transient=True)
        self._totals: dict[str, Any] = collections.defaultdict(collections.Counter)
        self._lock = threading.Lock()

    def __enter__(self) -> "_LiveLine":
        self._live.__enter__()
        return self

    def __exit__(self, *error):
        self._live.__exit__(*error)

    def __call__(self, row: Row):
        answered = row["rung"] is not None
        with self._lock:
            self.rows.append(row)
            total = self._totals[row["policy"]]
            total.update(requests=1, in_time=row["in_time"], answered=answered)
            total.update(right=row["right"] or 0.0, both=row["right_in_time"])
            in_time, both = (total[k] / total["requests"] for k in ("in_time", "both"))
            accuracy = total["right"] / max(total["answered"], 1)
        state = f"refused: {row['reason']}"
        if answered:
            bar = ("█" * round(_BAR * row["budget"])).ljust(_BAR, "·")
            state = f"{bar} rung {row['rung']}  {1e3 * row['seconds']:6.1f} ms"
        self._live.update(
            Text(
                f"{row['policy']:<10} {row['arrival']:5.1f} s  {state}  "
                f"in time {in_time:.1%}  accuracy {accuracy:.1%}  both {both:.1%}"
            )
        )
