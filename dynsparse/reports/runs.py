"""The files of a finished run or trial, read back and checked."""

import csv
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from dynsparse._internal.atomic_write import DamagedFileError, read_json, reading
from dynsparse.reports.telling import telling

PUT_BACK = "put back what was there, or choose another folder"
BUSY = "busy machine, do not quote the times"
OFF = 0.1  # of the time of dense, from which dense beside dense tells a busy machine
_COUNTED = ("density", "budget", "flops_mean", "macs_mean", "macs_p95", "macs_dense")
_MEASURED = ("score", "latency_ms", "latency_dense_ms")
_TIMES = ("time_ratio", "time_ratio_q1", "time_ratio_q3", "dense_again")  # or empty
FIELDS: tuple[str, ...] = (*_COUNTED, *_MEASURED, *_TIMES)
_AGAIN = "remove it, and the command that made it writes it again"
_CURVE_AGAIN = "remove result.json, and the command of the run writes both again"

# What a file holds: the type of each value, or that of what is inside.
_Kinds = Mapping[str, Any]
_NUMBER, _NONE = (int, float), type(None)
_CONFIG = dict(gate=Mapping, train=Mapping, seed=int)
_ORIGIN = dict.fromkeys(("device", "processor"), (str, _NONE)) | dict(
    commit=str, python=str, cores=(int, _NONE), packages=Mapping
)
_METRIC = dict(name=str, unit=str, higher_is_better=bool, noun=str)
_POINT = dict.fromkeys(("density", "budget", "macs_mean", *_MEASURED), _NUMBER) | dict(
    recovery=Mapping,
    **dict.fromkeys(_TIMES, _NUMBER),
)
_TRAINED = dict(title=str, warnings=list, seed=int, batch_size=int) | dict(
    macs_dense=_NUMBER,
    macs_floor=_NUMBER,
    metric=_METRIC,
    curve=[_POINT],
    examined=[{}],
)
_OPTIONAL = {*_TIMES, "examined"}


def read_run(run: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the config and the result of a run that was trained to its end.

    Args:
        run: Folder of the run.

    Raises:
        DamagedFileError: If one of its files is missing or damaged.

    Example:
        >>> import pathlib
        >>> reports.read_run(pathlib.Path("nowhere"))
        Traceback (most recent call last):
        dynsparse._internal.atomic_write.DamagedFileError: 'nowhere' is not the folder
            of a finished run: it has no config.json
    """
    for name in ("config.json", "result.json"):
        if not os.path.lexists(run / name):
            raise DamagedFileError(
                f"{str(run)!r} is not the folder of a finished run: it has no {name}"
            )
    config = read_json(run / "config.json", PUT_BACK) or {}
    result = read_result(run) or {}
    with reading(run / "config.json", PUT_BACK):
        _check(config, _CONFIG)
        telling(config)
    if "curve" not in result:
        raise DamagedFileError(
            f"{str(run)!r} is the folder of a trial that was measured, not trained: "
            "its result.json has no curve."
        )
    return config, result


def read_result(
    run: pathlib.Path, *, trained: bool | None = None
) -> dict[str, Any] | None:
    """Returns the content of result.json, or None where there is none.

    Args:
        run: Folder of a run, or of a trial that was measured.
        trained: Which of the two; None for either.

    Raises:
        DamagedFileError: If it is not what such a file holds.

    Example:
        >>> import pathlib
        >>> reports.read_result(pathlib.Path("nowhere"))
    """
    path = run / "result.json"
    result = read_json(path, _AGAIN)
    if result is not None:
        with reading(path, _AGAIN):
            if trained is None:
                trained = "rows" not in result
            _check(result, _ORIGIN | (_TRAINED if trained else dict(rows=[{}])))
            if trained and not result["curve"]:
                raise ValueError("curve is empty")
    return result


def read_curve(run: pathlib.Path) -> list[dict[str, float]]:
    """Returns the rows of `run`/curve.csv, from dense to sparse.

    Raises:
        DamagedFileError: If it is missing or damaged.

    Example:
        >>> import pathlib
        >>> reports.read_curve(pathlib.Path("nowhere"))
        Traceback (most recent call last):
        dynsparse._internal.atomic_write.DamagedFileError: ...
    """
    path = run / "curve.csv"
    with reading(path, _CURVE_AGAIN), path.open(encoding="utf-8", newline="") as file:
        rows = [
            {key: float(value) for key, value in row.items() if value}
            for row in csv.DictReader(file)
        ]
        if not rows:
            raise ValueError("it has no rows")
        if any(not {*_COUNTED, *_MEASURED} <= {*row} for row in rows):
            raise ValueError("a row is not whole")
        return sorted(rows, key=lambda row: -row["macs_mean"])


def time_ratio(row: Mapping[str, Any]) -> float:
    """Returns the time of a point as a fraction of the dense model's.

    It is the median over turns of both, or else the fraction of two medians.
    """
    if "time_ratio" in row:
        return row["time_ratio"]
    return row["latency_ms"] / row["latency_dense_ms"]


def quartiles(row: Mapping[str, Any]) -> tuple[float, float, float]:
    """Returns `time_ratio` between its quartiles, where a row has them."""
    ratio = time_ratio(row)
    return row.get("time_ratio_q1", ratio), ratio, row.get("time_ratio_q3", ratio)


def is_busy(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the dense model took 10 % more or less time than beside itself.

    Example:
        >>> reports.is_busy([dict(dense_again=1.2)])
        True
    """
    return bool(busy_among({str(i): r.get("dense_again") for i, r in enumerate(rows)}))


def busy_among(again: Mapping[str, float | None]) -> list[str]:
    """Returns a paragraph on what was timed on a busy machine, or none.

    Args:
        again: By what was timed, its reference's time as a fraction of the same again.
    """
    found = {k: v for k, v in again.items() if v is not None and abs(v - 1) > OFF}
    listed = "; ".join(f"{name} ({value:.2f})" for name, value in found.items())
    return [f"{BUSY.capitalize()} of: {listed}."] if found else []


def _check(found: Mapping[str, Any], kinds: _Kinds, where: str = ""):
    """Raises a ValueError with the first value that is missing or of another kind."""
    for key, kind in kinds.items():
        if key not in found:
            if key in _OPTIONAL:
                continue
            raise ValueError(f"it has no {where}{key}")
        value = found[key]
        if isinstance(kind, list):
            objects = isinstance(value, list) and all(
                isinstance(one, Mapping) for one in value
            )
            if not objects:
                raise ValueError(f"{key} is no list of objects")
            for place, one in enumerate(value):
                _check(one, kind[0], f"{key}[{place}].")
        elif isinstance(kind, Mapping):
            if value is not None:
                _check(value, kind, f"{where}{key}.")
        elif not isinstance(value, kind) or (
            isinstance(value, bool) and kind is not bool
        ):
            raise ValueError(f"{where}{key} is {str(value)[:40]!r}")
