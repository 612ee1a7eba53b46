"""Means of the metrics of all steps since the last log."""

import json
import math
from collections.abc import Mapping

from dynsparse._internal.atomic_write import as_json

_PENDING = "since_log"


class Means:
    """Sums of metrics by name, which a checkpoint between two logs carries along.

    So a run that is killed and resumed logs the means that it would have logged.

    Args:
        sums: By name.
        count: Steps that are in them.
    """

    def __init__(self, sums: Mapping[str, float] | None = None, count: int = 0):
        self._sums = dict(sums or {})
        self._count = count

    @classmethod
    def split(cls, rows: bytes) -> tuple[bytes, "Means"]:
        """Parts the rows of a checkpoint from the sums that `joined` put behind them.

        Args:
            rows: From `joined`, or without sums.
        """
        before, _, last = rows.rstrip(b"\n").rpartition(b"\n")
        if not last.startswith(b'{"%s"' % _PENDING.encode()):
            return rows, cls()
        row = json.loads(last)
        sums = {k: math.nan if v is None else v for k, v in row["sums"].items()}
        return before + b"\n" * bool(before), cls(sums, row[_PENDING])

    def joined(self, rows: bytes) -> bytes:
        """Returns the rows for a checkpoint, with the sums behind them.

        Args:
            rows: The content of metrics.jsonl.
        """
        if not self._count:
            return rows
        return (
            rows + f"{as_json({_PENDING: self._count, 'sums': self._sums})}\n".encode()
        )

    def add(self, metrics: Mapping[str, float]):
        """Adds the metrics of a step."""
        for name, value in metrics.items():
            self._sums[name] = self._sums.setdefault(name, 0.0) + value
        self._count += 1

    def take(self) -> dict[str, float]:
        """Returns the means, and starts anew."""
        means = {name: total / self._count for name, total in self._sums.items()}
        self._sums, self._count = {}, 0
        return means
