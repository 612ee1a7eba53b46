"""Sweeps: the trials of an experiment, each in a process of its own; imports no jax."""

from dynsparse.launching.sweep.attempt import FULL_DISK, STOPPED, stop_with_launcher
from dynsparse.launching.sweep.conduct import conduct
from dynsparse.launching.sweep.experiment import SIZES, Experiment
from dynsparse.launching.sweep.request import SweepRequest, asks_to_sweep, parse_sweep
from dynsparse.launching.sweep.trial import (
    Trial,
    asks_for_trial,
    examiner,
    measure,
    read_trials,
)

__all__ = [
    "FULL_DISK",
    "SIZES",
    "STOPPED",
    "Experiment",
    "SweepRequest",
    "Trial",
    "asks_for_trial",
    "asks_to_sweep",
    "conduct",
    "examiner",
    "measure",
    "parse_sweep",
    "read_trials",
    "stop_with_launcher",
]
