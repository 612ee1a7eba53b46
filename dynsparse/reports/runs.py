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
FIELDS: tuple[str, ...] = (
    *("density", "budget", "flops_mean", "macs_mean", "macs_p95", "macs_dense"),
    *("accuracy", "latency_ms", "latency_dense_ms"),
    *("time_ratio", "time_ratio_q1", "time_ratio_q3", "dense_again"),
)
_REQUIRED = FIELDS[: FIELDS.index("time_ratio")]  # of a row; others may be empty
_AGAIN = "remove it, and the command that made it writes it again"
_CURVE_AGAIN = "remove result.json, and the command of the run writes both again"

_Kinds = Mapping[str, Any]


def _kinds(kind: Any, names: str, **others: Any) -> dict[str, Any]:
    return dict.fromkeys(names.split(), kind) | others


_NUMBER, _NONE = (int, float), type(None)
_CONFIG = _kinds(Mapping, "gate train", seed=int)
_ORIGIN = _kinds((str, _NONE), "device processor", commit=str, python=str)
_ORIGIN |= dict(cores=(int, _NONE), packages=Mapping)
_TRAINED = _kinds(
    _NUMBER, "macs_dense macs_floor", title=str, warnings=list, curve=list
)
_TRAINED |= dict(seed=int, batch_size=int)
_POINT = _kinds(
    _NUMBER, "density budget macs_mean accuracy latency_ms latency_dense_ms"
)
_POINT |= dict(recovery=(Mapping, _NONE))
_TIMES = _kinds(_NUMBER, "time_ratio time_ratio_q1 time_ratio_q3 dense_again")
_RECOVERY = _kinds(
    (*_NUMBER, _NONE),  # null where no patch was open
    "precision recall random_precision random_recall",
)


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
        _expect(config, _CONFIG)
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
            _check(result, "rows" not in result if trained is None else trained)
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
        if any(not {*_REQUIRED} <= {*row} for row in rows):
            raise ValueError("a row is not whole")
        return sorted(rows, key=lambda row: -row["macs_mean"])


def time_ratio(row: Mapping[str, Any]) -> float:
    """Returns the time of a point as a fraction of the dense model's.

    Args:
        row: Row of a curve: the median over turns of both, or else two medians.
    """
    if "time_ratio" in row:
        return row["time_ratio"]
    return row["latency_ms"] / row["latency_dense_ms"]


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
        again: By what was timed, the median of its reference's time as a fraction of
            the same once more, in the same turns.
    """
    found = {k: v for k, v in again.items() if v is not None and abs(v - 1) > OFF}
    listed = "; ".join(f"{name} ({value:.2f})" for name, value in found.items())
    return [f"{BUSY.capitalize()} of: {listed}."] if found else []


def _check(result: Mapping[str, Any], trained: bool):
    """Raises a ValueError with the first part of a result that is not as it must be."""
    _expect(result, _ORIGIN)
    if not trained:
        _expect(result, dict(rows=list))
        _objects(result, "rows")
        return
    _expect(result, _TRAINED)
    if not result["curve"]:
        raise ValueError("curve is empty")
    for place, point in enumerate(_objects(result, "curve")):
        where = f"curve[{place}]."
        _expect(point, _POINT, where)
        _expect(point, {key: _TIMES[key] for key in _TIMES if key in point}, where)
        if point["recovery"] is not None:
            _expect(point["recovery"], _RECOVERY, f"{where}recovery.")
    if "examined" in result:
        _objects(result, "examined")


def _objects(result: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    found = result[key]
    if not isinstance(found, list) or not all(isinstance(v, Mapping) for v in found):
        raise ValueError(f"{key} is no list of objects")
    return found


def _expect(found: Mapping[str, Any], kinds: _Kinds, where: str = ""):
    for key, kind in kinds.items():
        if key not in found:
            raise ValueError(f"it has no {where}{key}")
        if not isinstance(found[key], kind) or isinstance(found[key], bool):
            raise ValueError(f"{where}{key} is {str(found[key])[:40]!r}")
