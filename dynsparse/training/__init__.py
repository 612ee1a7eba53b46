"""From a config to a trained, billed and drawn model."""

from dynsparse._internal.stop_signal import Interrupted
from dynsparse.training.describe import describe
from dynsparse.training.evaluation.norms import training_inputs
from dynsparse.training.folder.checkpoint import CheckpointError, has_checkpoint
from dynsparse.training.loop import train, train_together
from dynsparse.training.prepare import (
    PreparedRun,
    least_density,
    prepare,
    prepare_together,
)
from dynsparse.training.restore import restore
from dynsparse.training.result import finish

__all__ = [
    "CheckpointError",
    "Interrupted",
    "PreparedRun",
    "describe",
    "finish",
    "has_checkpoint",
    "least_density",
    "prepare",
    "prepare_together",
    "restore",
    "train",
    "train_together",
    "training_inputs",
]
