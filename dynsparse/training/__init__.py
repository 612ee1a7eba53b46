"""From a config to a trained, billed and drawn model."""

from dynsparse.training.experiment import Experiment, prepare
from dynsparse.training.finish import finish
from dynsparse.training.interrupt import Interrupted
from dynsparse.training.loop import train
from dynsparse.training.restore import restore

__all__ = ["Experiment", "Interrupted", "finish", "prepare", "restore", "train"]
