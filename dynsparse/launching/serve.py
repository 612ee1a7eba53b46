"""From the command line to a checked request to serve a run."""

import contextlib
import dataclasses
import itertools
import pathlib
from collections.abc import Iterator, Sequence

from dynsparse.bench.arrivals import PROFILES
from dynsparse.bench.options import LoadTestOptions
from dynsparse.launching.command_line import Parser, asks, in_range, one_of
from dynsparse.launching.errors import UserError
from dynsparse.reports.records import read_run


@dataclasses.dataclass(frozen=True)
class ServeRequest:
    """A finished run, to be served under load.

    Attributes:
        run: Its folder.
        options: Load, size of the requests and budgets.
        trust: Whether to import what config.json names outside of this library.
    """

    run: pathlib.Path
    options: LoadTestOptions
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
    defaults = dataclasses.asdict(LoadTestOptions())
    parser = Parser()
    parser.set_defaults(**defaults)
    parser.add_argument("--serve", default="")
    parser.add_argument("--trust", action="store_true")
    parser.add_argument("--load", type=one_of(sorted(PROFILES)))
    parser.add_argument("--seconds", type=in_range(float, 3, 86_400))
    parser.add_argument("--rounds", type=in_range(int, 1, 1_000))
    parser.add_argument("--request_size", type=in_range(int, 1, 65_536))
    parser.add_argument("--rungs", type=in_range(int, 2, 100))
    parser.add_argument("--lowest", type=in_range(float, 0.01, 0.9))
    parser.add_argument("--least_accuracy", type=in_range(float, 0, 1))
    parser.add_argument("--seed", type=in_range(int, 0))
    values, _ = parser.read(argv)
    run = pathlib.Path(values.serve)
    read_run(run)
    chosen = {name: getattr(values, name) for name in defaults}
    return ServeRequest(run, LoadTestOptions(**chosen), values.trust)


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
        folder = request.run / "serve" / f"{request.options.load}-{number}"
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
