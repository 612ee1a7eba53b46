"""Sweeps: the trials of an experiment, each in a process of its own."""

from dynsparse.launching.sweep.experiment_file import SIZES, ExperimentFile
from dynsparse.launching.sweep.pool import FULL_DISK, STOPPED, stop_with_launcher
from dynsparse.launching.sweep.request import SweepRequest, asks_to_sweep, parse_sweep
from dynsparse.launching.sweep.run import run_sweep
from dynsparse.launching.sweep.trial import (
    Trial,
    asks_for_trial,
    examiner,
    measure,
    read_trial,
)

__all__ = [
    "FULL_DISK",
    "SIZES",
    "STOPPED",
    "ExperimentFile",
    "SweepRequest",
    "Trial",
    "asks_for_trial",
    "asks_to_sweep",
    "examiner",
    "measure",
    "parse_sweep",
    "read_trial",
    "run_sweep",
    "stop_with_launcher",
]
