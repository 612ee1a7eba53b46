"""`python -m experiments.NAME --out DIR`: a sweep of one job.

The form is in `dynsparse.launching.sweep.experiment_file`. What one trial leaves
behind, in memory or in compiled programs, cannot slow down the next, since each has a
process of its own: late in a process that had timed ten networks, two programs with the
same instructions took times that differed by 14 %.
"""

import argparse
import pathlib
import shlex
import sys
import types
from collections.abc import Sequence

from dynsparse.launching import UserError, sweep
from dynsparse.launching.process import make_console


def run_alone(module: types.ModuleType, argv: Sequence[str] | None = None) -> int:
    """Runs every trial of an experiment, one at a time, and writes the report.

    Args:
        module: The experiment.
        argv: Arguments, those of the process where None.

    Returns:
        The exit status, as of launch.py.
    """
    try:
        experiment = sweep.ExperimentFile.load(str(module.__file__))
        parser = argparse.ArgumentParser(description=experiment.claim)
        parser.add_argument("--out", type=pathlib.Path, required=True, metavar="DIR")
        parser.add_argument("--size", choices=sweep.SIZES, default="full")
        chosen = parser.parse_args(argv)
        words = [sys.executable, "-m", f"experiments.{experiment.name}"]
        words += ["--out", str(chosen.out), "--size", chosen.size]
        request = sweep.SweepRequest(
            experiment, chosen.size, chosen.out, shlex.join(words)
        )
        return sweep.run_sweep(request, make_console())
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
