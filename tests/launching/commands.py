"""The command that trains a tiny run."""

import pathlib

import launch
from tests.training import tiny

ROOT = pathlib.Path(launch.__file__).parent
CONFIG = f"--config={ROOT}/configs/cluttered_digits.py"


def command(workdir, *flags, config=CONFIG):
    return ["launch.py", config, *tiny.FLAGS, f"--workdir={workdir}", *flags]
