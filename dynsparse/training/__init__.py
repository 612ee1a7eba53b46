"""From a config to a trained, billed and drawn model."""

from dynsparse.training.averages import training_inputs
from dynsparse.training.checkpoint import CheckpointError
from dynsparse.training.describe import describe
from dynsparse.training.finish import finish
from dynsparse.training.interrupt import Interrupted
from dynsparse.training.loop import train, train_together
from dynsparse.training.prepare import (
    PreparedRun,
    least_density,
    prepare,
    prepare_together,
)
from dynsparse.training.restore import restore
from dynsparse.training.start import has_checkpoint

__all__ = [
    "CheckpointError",
    "PreparedRun",
    "Interrupted",
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
