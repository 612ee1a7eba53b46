"""From the command line to a checked request to serve a run."""

import dataclasses
import pathlib
from collections.abc import Sequence

from absl import flags

from dynsparse.launching.command_line import asks, read
from dynsparse.launching.errors import UserError

LOADS = ("constant", "ramp", "sine", "spike")


@dataclasses.dataclass(frozen=True)
class ServeRequest:
    """A finished run, to be served under load.

    Attributes:
        run: Its folder.
        load: One of `LOADS`.
        seconds: How long each policy is tried.
        request_size: Examples per request.
        rungs: Of the ladder, at most: budgets that buy the same are one.
        lowest: Budget of its lowest, as a fraction of the dense MACs.
        seed: Of the arrivals.
    """

    run: pathlib.Path
    load: str
    seconds: float
    request_size: int
    rungs: int
    lowest: float
    seed: int


def asks_to_serve(argv: Sequence[str]) -> bool:
    """Whether a command line is one to serve with."""
    return asks(argv, "serve")


def parse_serve(argv: Sequence[str]) -> ServeRequest:
    """Reads the command line.

    Args:
        argv: As in `sys.argv`.

    Raises:
        UserError: If a flag or a value is not accepted, or the folder holds no run that
            is finished.
    """
    values = flags.FlagValues()
    flags.DEFINE_string("serve", None, "", flag_values=values)
    flags.DEFINE_enum("load", "spike", LOADS, "", flag_values=values)
    flags.DEFINE_float("seconds", 30.0, "", lower_bound=3.0, flag_values=values)
    flags.DEFINE_float(
        "lowest", 0.15, "", lower_bound=0.01, upper_bound=0.9, flag_values=values
    )
    for name, default, lowest in (
        ("request_size", 64, 1),
        ("rungs", 6, 2),
        ("seed", 0, 0),
    ):
        flags.DEFINE_integer(name, default, "", lower_bound=lowest, flag_values=values)
    read(values, argv)
    run = pathlib.Path(values.serve)
    for name in ("config.json", "checkpoints", "result.json"):
        if not (run / name).exists():
            raise UserError(
                f"--serve: {str(run)!r} is not the folder of a finished run: it has no "
                f"{name}"
            )
    return ServeRequest(
        run,
        values.load,
        values.seconds,
        values.request_size,
        values.rungs,
        values.lowest,
        values.seed,
    )
