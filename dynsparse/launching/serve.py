"""From the command line to a checked request to serve a run."""

import contextlib
import dataclasses
import itertools
import pathlib
from collections.abc import Iterator, Sequence

from dynsparse.launching.command_line import Parser, asks, in_range, one_of
from dynsparse.launching.errors import UserError
from dynsparse.reports.records import read_run

LOADS = ("constant", "ramp", "sine", "spike")


@dataclasses.dataclass(frozen=True)
class ServeRequest:
    """A finished run, to be served under load.

    Attributes:
        run: Its folder.
        load: One of `LOADS`.
        seconds: Of each replay of the load.
        rounds: In which each policy is tried once.
        request_size: Examples per request.
        rungs: Of the ladder, at most: budgets that buy the same are one.
        lowest: Budget of its lowest, as a fraction of the dense MACs.
        least_accuracy: On the validation split, of the rungs to choose from, in [0, 1].
        seed: Of the arrivals.
        trust: Whether to import what config.json names outside of this library.
    """

    run: pathlib.Path
    load: str
    seconds: float
    rounds: int
    request_size: int
    rungs: int
    lowest: float
    least_accuracy: float
    seed: int
    trust: bool


def asks_to_serve(argv: Sequence[str]) -> bool:
    """Whether a command line is one to serve with."""
    return asks(argv, "serve")


def parse_serve(argv: Sequence[str]) -> ServeRequest:
    """Reads the command line.

    Args:
        argv: As in `sys.argv`.

    Raises:
        DamagedFileError: If the folder holds no run that is finished.
        UserError: If a flag or a value is not accepted.
    """
    parser = Parser()
    parser.add_argument("--serve", default="")
    parser.add_argument("--trust", action="store_true")
    parser.add_argument("--load", type=one_of(LOADS), default="spike")
    parser.add_argument("--seconds", type=in_range(float, 3, 86_400), default=9.0)
    parser.add_argument("--rounds", type=in_range(int, 1, 1_000), default=3)
    parser.add_argument("--request_size", type=in_range(int, 1, 65_536), default=64)
    parser.add_argument("--rungs", type=in_range(int, 2, 100), default=6)
    parser.add_argument("--lowest", type=in_range(float, 0.01, 0.9), default=0.15)
    parser.add_argument("--least_accuracy", type=in_range(float, 0, 1), default=0.0)
    parser.add_argument("--seed", type=in_range(int, 0), default=0)
    values, _ = parser.read(argv)
    run = pathlib.Path(values.serve)
    read_run(run)
    return ServeRequest(
        run,
        values.load,
        values.seconds,
        values.rounds,
        values.request_size,
        values.rungs,
        values.lowest,
        values.least_accuracy,
        values.seed,
        values.trust,
    )


@contextlib.contextmanager
def serve_folder(request: ServeRequest) -> Iterator[pathlib.Path]:
    """Makes a new folder in that of the run: nothing is written over.

    It is gone at the end if it is empty.

    Args:
        request: Names the run and the load.

    Raises:
        UserError: If it cannot be made.
    """
    for number in itertools.count(1):
        folder = request.run / "serve" / f"{request.load}-{number}"
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError as error:
            if not folder.is_dir():  # a file is in the way
                raise UserError(f"--serve: cannot write {folder}: {error}.") from error
        except OSError as error:
            raise UserError(f"--serve: cannot write {folder}: {error}.") from error
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()
            folder.parent.rmdir()
