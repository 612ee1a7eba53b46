"""Runs one experiment from a config, or resumes it; see --help.

Imports no jax until a run starts.
"""

import os
import shlex
import sys

from absl import logging
from rich.console import Console

from dynsparse import launching, reports


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 done, 1 failed, 2 a mistake in the command."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        request = launching.parse(argv)
        if request is None:
            return 0
        launching.check_config(request.workdir, request.plain_config)
        result = launching.finished(request.workdir)
        if result is None:
            result = run(request, console)
    except launching.UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if result is None:
        return 130
    console.print(reports.curve_table(result))
    figures = [str(request.workdir / name) for name in ("curve.png", "kept.png")]
    console.print("figures ", *filter(os.path.exists, figures))
    folder = shlex.quote(str(request.workdir))
    console.print(f"compare  {sys.executable} -m tensorboard.main --logdir {folder}")
    return 0


def run(request: launching.Request, console: Console) -> dict | None:
    """Trains and evaluates; returns the result, or None if it was interrupted."""
    logging.set_verbosity(logging.ERROR)  # Orbax narrates every checkpoint
    from dynsparse import training

    try:
        experiment = training.prepare(request.config.to_dict())
    except ValueError as error:
        raise launching.UserError(error) from error
    with launching.claim(request.workdir, request.plain_config):
        console.print(f"resume with  {request.command}")
        try:
            state = training.train(experiment, request.workdir)
        except training.Interrupted as stopped:
            console.print(f"{stopped}; resume with  {request.command}")
            return None
        return training.finish(
            experiment, state, request.workdir, request.plain_config, request.title
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv))
