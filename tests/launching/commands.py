"""The command that trains a tiny run, and what commands ask for."""

import pathlib
import shlex

from dynsparse.launching.experiment import load_sweep
from dynsparse.launching.main import parse
from dynsparse.launching.run import read_request
from tests.training import tiny

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = f"--config={ROOT}/configs/cluttered_digits.py"


def parsed(words):
    """What a command asks to run, without the program."""
    return read_request(parse(words))


def sweep_of(*words):
    """What the words after `sweep` ask to sweep."""
    values = parse(["sweep", *words])
    return load_sweep(values.experiment, values.config, values.changes)


def typed(command):
    """The words of a printed command, without the program."""
    words = shlex.split(command)
    return words[words.index("dynsparse") + 1 :]


def command(workdir, *flags, config=CONFIG):
    return ["run", config, *tiny.FLAGS, f"--workdir={workdir}", *flags]
