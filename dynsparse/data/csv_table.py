"""A table of numbers, one column of which is to be predicted."""

import array
import pathlib
from collections.abc import Sequence

import numpy as np

from dynsparse.data.base.cuts import check_fractions, cut_at_random
from dynsparse.data.base.paths import existing_file
from dynsparse.data.base.sources import Arrays
from dynsparse.data.base.splits import Splits
from dynsparse.data.base.tables import number_in, open_table

_ACCEPTED = "a .csv file with names of columns in its first line, and numbers below"


def make(
    *,
    path: str,
    target: str,
    ignored: Sequence[str],
    validation_fraction: float,
    test_fraction: float,
    seed: int,
) -> Splits:
    """Reads a table whole; an example is a row: `features`, [d], and `target`, float32.

    Facts are the names of the columns.

    Args:
        path: Path of the file; commas between cells.
        target: Name of the column that is predicted.
        ignored: Names of columns that are not read, such as identifiers.
        validation_fraction: Share of the rows for validation, in (0, 1).
        test_fraction: Share of the rows for test, in (0, 1).
        seed: Seed of the choice of rows.

    Raises:
        ValueError: If the file is missing or empty, a column is not there, or a cell is
            no finite number; the message names file, line and column.
    """
    check_fractions(
        validation_fraction=validation_fraction, test_fraction=test_fraction
    )
    file = existing_file(path, _ACCEPTED)
    names, table = _read(file, target, ignored)
    fractions = validation_fraction, test_fraction
    parts = cut_at_random(file, len(table), fractions, seed)
    train, validation, test = (
        Arrays(dict(features=table[rows, :-1], target=table[rows, -1]))
        for rows in parts
    )
    return Splits(
        train=train,
        validation=validation,
        test=test,
        facts=dict(feature_names=names[:-1], target_name=target),
    )


def _read(
    file: pathlib.Path, target: str, ignored: Sequence[str]
) -> tuple[list[str], np.ndarray]:
    """Returns the names of the columns that are read, the target last, and the rows."""
    values, read = array.array("d"), []
    with open_table(file, ",") as rows:
        header = [name.strip() for name in next(rows, (1, []))[1]]
        for name in (target, *ignored):
            if name not in header:
                raise ValueError(f"{file}: has no column {name!r}; it has {header}.")
        if doubled := {name for name in header if header.count(name) > 1}:
            raise ValueError(f"{file}: has two columns {min(doubled)!r}.")
        read = [name for name in header if name not in (target, *ignored)] + [target]
        if len(read) < 2:
            raise ValueError(f"{file}: has no column beside {target!r} that is read.")
        places = [header.index(name) for name in read]
        for line, cells in rows:
            if len(cells) != len(header):
                raise ValueError(
                    f"{file}: line {line}: has {len(cells)} cells, not {len(header)}."
                )
            values.extend(
                number_in(file, line, header[place], cells[place]) for place in places
            )
    if not len(values):
        raise ValueError(f"{file}: is empty; accepted: {_ACCEPTED}.")
    table = np.array(values).reshape(-1, len(read))
    with np.errstate(over="ignore"):
        single = table.astype(np.float32)
    if not np.isfinite(single).all():
        largest = np.abs(table).max()
        raise ValueError(f"{file}: {largest:g} is too large for float32, 3.4e38.")
    return read, single
