"""Load test of a trained model: a live line, then a table, a CSV file and a figure."""

import collections
import dataclasses
import functools
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
from dynsparse._internal.call import Call
from dynsparse.bench.options import LoadTestOptions
from dynsparse.bench.policies import PATIENCE, replay_policies
from dynsparse.bench.replay import FIELDS, Row, ScoredRequests
from dynsparse.data import Source, read_batch
from dynsparse.reports.tables import write_csv
from dynsparse.serving import Ladder, geometric_budgets
from dynsparse.tasks import Batch, Task

_BAR = 20  # characters


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A trained model and its data.

    Attributes:
        name: Name of the run, for titles.
        model: The trained model.
        task: Its test examples make the requests; the score of each rung is measured on
            its validation examples.
        inputs: Training batches, as in `Ladder.compile`.
        least_density: Smallest density that the model was trained at, in [0, 1].
    """

    name: str
    model: nnx.Module
    task: Task
    inputs: Sequence[PyTree] = ()
    least_density: float = 0.0

    def __post_init__(self):
        task = self.task
        if task.unit != "%" or not task.higher_is_better:
            raise ValueError(
                "serve: a controller weighs right answers against late ones, which "
                f"needs a share as the score; {task.metric} of this run is none."
            )

    def called(self, batch: Batch) -> Call:
        """Returns the call of the model with examples of a source, on the host."""
        return jax.tree.map(np.asarray, self.task.call(batch))

    def score(self, outputs: PyTree, batch: Batch) -> float:
        """Returns the score of outputs, in [0, 1]."""
        means = _scores(self.task, outputs, batch)
        values = {name: float(mean.value) for name, mean in means.items()}
        return self.task.finish(values)[self.task.metric]

    def requests(self, source: Source, *, size: int, deadline: float) -> ScoredRequests:
        """Cuts a source into as many requests of `size` examples as it fills.

        Args:
            source: Examples.
            size: Examples of a request.
            deadline: Of a request, in seconds.
        """
        starts = range(0, len(source) - size + 1, size)
        batches = [read_batch(source, range(s, s + size)) for s in starts]
        return ScoredRequests(
            inputs=[self.called(batch) for batch in batches],
            score=lambda index, outputs: self.score(outputs, batches[index]),
            size=size,
            deadline=deadline,
        )

    def ladder(
        self,
        *,
        rungs: int,
        lowest: float,
        size: int,
        watch: Callable[[str], None] = lambda words: None,
    ) -> Ladder:
        """Compiles a ladder of the model for requests of one size.

        Args:
            rungs: As in `geometric_budgets`.
            lowest: As in `geometric_budgets`.
            size: Examples per request.
            watch: As in `Ladder.compile`.
        """
        budgets = geometric_budgets(
            self.model,
            self.task.example(),
            rungs=rungs,
            lowest=lowest,
            least_density=self.least_density,
        )
        timed, held_out = (
            read_batch(source, range(min(number, len(source))))
            for source, number in (
                (self.task.test, max(size, 64)),
                (self.task.validation, len(self.task.validation)),
            )
        )
        return Ladder.compile(
            self.model,
            examples=self.called(timed),
            budgets=budgets,
            batch_sizes=(size,),
            inputs=self.inputs,
            held_out=(self.called(held_out), lambda x: self.score(x, held_out)),
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
        ValueError: If there are fewer examples than a request has, or no rung has the
            least score.
        KeyboardInterrupt: If it was stopped before anything was measured.
    """
    size, test = options.request_size, served.task.test
    if len(test) < size:
        raise ValueError(
            f"request_size {size} exceeds the {len(test)} test {served.task.noun}s."
        )
    with console.status("billing the model") as status:

        def told(words: str):
            if stopped():
                raise KeyboardInterrupt
            status.update(words)

        ladder = served.ladder(
            rungs=options.rungs,
            lowest=options.lowest,
            size=size,
            watch=told,
        )
    usable = ladder.front(options.least_score)
    ladder.save(folder / "ladder.json")
    deadline = PATIENCE * ladder.seconds(len(ladder.rungs) - 1, size)
    console.print(_ladder_lines(ladder, size, deadline, usable), highlight=False)
    with _LiveLine(console) as live:
        replay_policies(
            ladder,
            served.requests(test, size=size, deadline=deadline),
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
            f"{100 * (rung.score or 0):.1f} % right on validation"
        )
        if index not in usable:
            reason = "another rung is as fast and as good"
            if index in ladder.front():
                reason = "below --least_score"
            lines[-1] += f" ({reason}: the controller skips it)"
    if ladder.rungs[0].density is None:
        lines.append("one rung: the gates of this run have no density to choose")
    elif len(ladder.rungs) == 1:
        lines.append("one rung: the run was trained at no lower density")
    device = jax.devices()[0].device_kind
    lines.append(f"requests of {size}, deadline {1e3 * deadline:.0f} ms, on {device}")
    return "\n".join(lines)


@functools.partial(jax.jit, static_argnums=0)
def _scores(task: Task, outputs: PyTree, batch: Batch):
    return task.scores(outputs, batch)


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
            right = total["right"] / max(total["answered"], 1)
        state = f"refused: {row['reason']}"
        if answered:
            bar = ("█" * round(_BAR * row["budget"])).ljust(_BAR, "·")
            state = f"{bar} rung {row['rung']}  {1e3 * row['seconds']:6.1f} ms"
        self._live.update(
            Text(
                f"{row['policy']:<10} {row['arrival']:5.1f} s  {state}  "
                f"in time {in_time:.1%}  right {right:.1%}  both {both:.1%}"
            )
        )
