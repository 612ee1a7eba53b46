"""Sweeps: the trials of an experiment, each in a process of its own."""

from dynsparse.launching.sweep.experiment_file import SIZES, ExperimentFile
from dynsparse.launching.sweep.pool import FULL_DISK, STOPPED, stop_with_launcher
from dynsparse.launching.sweep.request import (
    SweepRequest,
    add_arguments,
    read_request,
    requested,
)
from dynsparse.launching.sweep.run import run_sweep
from dynsparse.launching.sweep.trial import (
    Trial,
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
    "add_arguments",
    "examiner",
    "measure",
    "read_request",
    "read_trial",
    "requested",
    "run_sweep",
    "stop_with_launcher",
]
