"""What a run or a trial left, as it is read again: config.json and result.json."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from dynsparse._internal.atomic_write import DamagedFileError, read_json, reading
from dynsparse.reports.telling import telling

PUT_BACK = "put back what was there, or choose another folder"
_AGAIN = "remove it, and the command that made it writes it again"

_Kinds = Mapping[str, type | tuple[type, ...]]
_NUMBER = (int, float)
_WORD = (str, type(None))
_ORIGIN: _Kinds = dict(
    commit=str,
    device=_WORD,
    processor=_WORD,
    cores=(int, type(None)),
    python=str,
    packages=Mapping,
)
_CONFIG: _Kinds = dict(seed=int, gate=Mapping, train=Mapping)
_TRAINED: _Kinds = dict(
    title=str,
    seed=int,
    batch_size=int,
    macs_dense=_NUMBER,
    macs_floor=_NUMBER,
    warnings=list,
    curve=list,
)
_POINT: _Kinds = dict(
    density=_NUMBER,
    budget=_NUMBER,
    macs_mean=_NUMBER,
    accuracy=_NUMBER,
    latency_ms=_NUMBER,
    latency_dense_ms=_NUMBER,
    recovery=(Mapping, type(None)),
)
_TIMES: _Kinds = dict.fromkeys(
    ("time_ratio", "time_ratio_q1", "time_ratio_q3", "dense_again"), _NUMBER
)
_RECOVERY: _Kinds = dict.fromkeys(
    ("precision", "recall", "random_precision", "random_recall"),
    (*_NUMBER, type(None)),  # where no patch was open
)


def read_run(run: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the config and the result of a run that was trained to its end.

    Args:
        run: Its folder.

    Raises:
        DamagedFileError: If one of its files is missing or damaged.
    """
    for name in ("config.json", "result.json"):
        if not os.path.lexists(run / name):
            raise DamagedFileError(
                f"{str(run)!r} is not the folder of a finished run: it has no {name}"
            )
    config, result = read_json(run / "config.json", PUT_BACK), read_result(run)
    with reading(run / "config.json", PUT_BACK):
        _expect(config or {}, _CONFIG)
        telling(config or {})
    if "curve" not in (result or {}):
        raise DamagedFileError(
            f"{str(run)!r} is the folder of a trial that was measured, not trained: "
            "its result.json has no curve."
        )
    return config or {}, result or {}


def read_result(
    run: pathlib.Path, *, trained: bool | None = None
) -> dict[str, Any] | None:
    """Returns the content of result.json, or None where there is none.

    Args:
        run: Folder of a run, or of a trial that was measured.
        trained: Which of the two; None for either.

    Raises:
        DamagedFileError: If it is not what such a file holds.
    """
    path = run / "result.json"
    result = read_json(path, _AGAIN)
    if result is not None:
        with reading(path, _AGAIN):
            _check(result, "rows" not in result if trained is None else trained)
    return result


def _check(result: Mapping[str, Any], trained: bool):
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
