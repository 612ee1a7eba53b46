"""One run while it trains: its state, and what it leaves in its folder."""

import contextlib
import pathlib
from collections.abc import Mapping

import numpy as np

from dynsparse.training.calibration import calibrate
from dynsparse.training.checkpoint import Checkpoints
from dynsparse.training.clock import Clock
from dynsparse.training.means import Means
from dynsparse.training.optimizer import learning_rate_schedule
from dynsparse.training.prepare import PreparedRun
from dynsparse.training.step import State
from dynsparse.training.validation import Validated, Validation
from dynsparse.training.writer import Writer, put_rows_back


class Run:
    """Entered, it has the state of its newest checkpoint, or else the initial one.

    Attributes:
        prepared: What trains.
        state: The newest that is known here.
        notes: What a person should know of the folder it was entered in.

    Args:
        prepared: What trains.
        workdir: Its folder.
    """

    def __init__(self, prepared: PreparedRun, workdir: pathlib.Path):
        self.prepared = prepared
        self.state = prepared.initial_state
        self.notes: list[str] = []
        self._workdir = workdir
        self._means = Means()
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "Run":
        checkpoints = Checkpoints(self._workdir / "checkpoints", cleans=True)
        self._checkpoints = self._open.enter_context(checkpoints)
        rows = b""
        if self._checkpoints.latest is not None:
            self.state, rows, passed_over = self._checkpoints.restore(self.state)
            rows, self._means = Means.split(rows)
            self.notes += [f"{why}; step {self.step} is taken" for why in passed_over]
        note = put_rows_back(self._workdir, rows, self.step)
        self.notes += [] if note is None else [note]
        return self

    def __exit__(self, *_):
        self._open.close()

    @property
    def name(self) -> str:
        """Of its folder."""
        return self._workdir.name

    @property
    def step(self) -> int:
        """How many steps its state has behind it."""
        return int(self.state["step"])

    def begin(self):
        """Gets ready to write what follows its state."""
        settings = self.prepared.settings
        self._workdir.mkdir(parents=True, exist_ok=True)
        self._writer = self._open.enter_context(Writer(self._workdir, self.step))
        self._clock = Clock(self._workdir, self.step)
        self._validate = Validation(self.prepared)
        self._rate = learning_rate_schedule(
            settings.optimizer, settings.train.num_steps
        )

    def see(self, metrics: Mapping[str, float]):
        """Takes note of the metrics of a step."""
        self._means.add(metrics)

    def log(self, step: int) -> dict[str, float]:
        """Writes and returns the means of the metrics since the last log."""
        means, rate = self._means.take(), float(np.asarray(self._rate(step - 1)))
        examples = step * self.prepared.settings.train.batch_size
        epoch = examples / len(self.prepared.dataset.train)
        now = dict(learning_rate=rate, epoch=epoch)
        self._writer.scalars(step, "train", means | now)
        self._writer.board.scalars(step, "train_clock", self._clock.look(step))
        return means

    def take(self, state: State, *, last: bool):
        """Takes over what was trained; after the last step, calibrated."""
        self.state = calibrate(self.prepared, state) if last else state

    def validate(self) -> Validated:
        """Validates its state, after the last step in full, and writes the outcome."""
        last = self.step == self.prepared.settings.train.num_steps
        validated = self._validate(self.state, everything=last)
        self._writer.scalars(self.step, "validation", validated.scalars)
        self._writer.board.histograms(self.step, validated.open_probs)
        return validated

    def save(self):
        """Saves its state, in the background."""
        rows = self._means.joined(self._writer.rows())
        self._checkpoints.save(self.state, rows)
