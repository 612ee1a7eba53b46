"""One run while it trains: its state, and the files in its folder."""

import contextlib
import os
import pathlib
from collections.abc import Mapping

import numpy as np

from dynsparse._internal.atomic_write import write_json
from dynsparse.training.evaluation.validation import Validated, validate
from dynsparse.training.folder.checkpoint import Checkpoints
from dynsparse.training.folder.metrics import Means, Writer, put_rows_back
from dynsparse.training.optimizer import learning_rate_schedule
from dynsparse.training.prepare import PreparedRun

CONFIG, FACTS = "config.json", "task.json"  # from which the model is made again


class Run:
    """A run at its latest checkpoint, or at its initial state.

    As a context manager it writes to its folder what follows that state.

    Attributes:
        prepared: Prepared run.
        state: Latest state that is known on the host.
        notes: Notes for people about the folder, such as a damaged checkpoint.
        name: Name of the folder.

    Args:
        prepared: Prepared run.
        workdir: Folder of the run.
    """

    def __init__(self, prepared: PreparedRun, workdir: str | os.PathLike[str]):
        workdir = pathlib.Path(workdir)
        self.prepared = prepared
        self.state = prepared.initial_state
        self.name = workdir.name
        self.notes: list[str] = []
        self._workdir = workdir
        plan = prepared.settings.train
        self._rate = learning_rate_schedule(prepared.settings.optimizer, plan.num_steps)
        self._checkpoints = Checkpoints(workdir / "checkpoints", cleans=True)
        rows = b""
        if self._checkpoints.latest is not None:
            self.state, rows, passed_over = self._checkpoints.restore(self.state)
            self.notes += [f"{why}; step {self.step} is taken" for why in passed_over]
        rows, self._means = Means.split(rows)
        note = put_rows_back(workdir, rows, self.step)
        self.notes += [] if note is None else [note]

    def __enter__(self) -> "Run":
        self._workdir.mkdir(parents=True, exist_ok=True)
        facts = self.prepared.task.facts
        for name, content in ((CONFIG, self.prepared.config), (FACTS, facts)):
            if content is not None and not (self._workdir / name).exists():
                write_json(self._workdir / name, content)
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._checkpoints)
            self._writer = stack.enter_context(Writer(self._workdir, self.step))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._open.close()

    @property
    def step(self) -> int:
        """Number of steps that `state` has behind it."""
        return int(self.state["step"])

    def add(self, metrics: Mapping[str, float]):
        """Adds the metrics of a step to those of the next log."""
        self._means.add(metrics)

    def log(self, step: int) -> dict[str, float]:
        """Writes and returns the means of the metrics since the last log."""
        means = self._means.take()
        examples = step * self.prepared.settings.train.batch_size
        now = dict(
            learning_rate=float(np.asarray(self._rate(step - 1))),
            epoch=examples / len(self.prepared.task.train),
        )
        self._writer.scalars(step, "train", means | now)
        self._writer.clock(step)
        return means

    def validate(self) -> Validated:
        """Validates `state`, after the last step in full, and writes the outcome."""
        last = self.step == self.prepared.settings.train.num_steps
        validated = validate(self.prepared, self.state, everything=last)
        self._writer.scalars(self.step, "validation", validated.scalars)
        self._writer.tensorboard.histograms(self.step, validated.gates)
        return validated

    def save(self):
        """Saves `state`, in the background."""
        self._checkpoints.save(self.state, self._means.joined(self._writer.rows()))
