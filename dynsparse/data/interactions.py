"""Who chose what: lists of users and items, as MovieLens has them."""

import array
import pathlib
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from dynsparse._internal.ranges import Count
from dynsparse.data.base.histories import Histories
from dynsparse.data.base.paths import existing_file
from dynsparse.data.base.splits import Splits
from dynsparse.data.base.tables import number_in, open_table

_ACCEPTED = (
    "a .csv file whose first line names user and item (and rating, time), a .dat file "
    "of user::item::rating::time, or an .npz file of scipy.sparse.save_npz"
)
_COLUMNS = {
    "user": ("user", "userid", "user_id"),
    "item": ("item", "itemid", "item_id", "movieid", "movie_id"),
    "rating": ("rating", "score"),
    "time": ("time", "timestamp"),
}
_FEWEST = 4  # items of a user: one of the history, and a target for each part


def make(*, path: str, max_length: Count, min_rating: float, seed: int) -> Splits:
    """Reads which items each user chose; ratings only say which choices count.

    An example is a user: `history`, int32 [max_length], the latest items before
    `target`; `valid`, which of them are items; behind these, `history` has the number
    of items, which is the fact `padding`. Items are numbered anew, from 0, in the order
    of their appearance; an item that a user chose more than once counts once, the first
    time.

    The last item of each user is the target of test, the one before that of validation,
    and the one before that of training. Where the file has no times, the items of a
    user have a random order. Users of fewer than four items are left out.

    Args:
        path: Path of the file.
        max_length: Length of a history.
        min_rating: Rating from which on an item counts; of a file without ratings,
            each is 1.
        seed: Seed of the order of items without times.

    Raises:
        ValueError: If the file is missing, empty or of another kind, or a cell is no
            number where there must be one; the message names it.
    """
    file = existing_file(path, _ACCEPTED)
    chosen = _read_csr(file) if file.suffix == ".npz" else _read_table(file)
    kept = chosen.rating >= min_rating
    users, items = chosen.user[kept], chosen.item[kept]
    times = chosen.time
    if times is None:
        times = np.random.default_rng(seed).permutation(len(kept))
    order = np.lexsort((np.arange(len(users)), times[kept], users))
    users, items = users[order], items[order]
    pairs = users * (items.max(initial=0) + 1) + items
    first = np.sort(np.unique(pairs, return_index=True)[1])
    users, items = users[first], items[first]
    counts = np.bincount(users)
    ends = np.cumsum(counts)
    enough = counts >= _FEWEST
    if not enough.any():
        raise ValueError(
            f"{file}: no user has {_FEWEST} items of rating >= {min_rating}."
        )
    used, items = np.unique(items, return_inverse=True)
    settings = dict(max_length=max_length, padding=len(used))
    starts, ends = (ends - counts)[enough], ends[enough]
    part = lambda held_out: Histories(
        items, starts, ends, held_out=held_out, **settings
    )
    return Splits(
        train=part(2),
        validation=part(1),
        test=part(0),
        facts=dict(
            num_users=int(enough.sum()),
            num_items=len(used),
            length=max_length,
            padding=len(used),
        ),
    )


class _Interactions(NamedTuple):
    """Columns of a file; users and items are numbered."""

    user: np.ndarray
    item: np.ndarray
    rating: np.ndarray
    time: np.ndarray | None


def _read_csr(file: pathlib.Path) -> _Interactions:
    try:
        matrix: Any = scipy.sparse.load_npz(file).tocoo()
    except Exception as error:  # scipy, numpy and zipfile each raise their own
        raise ValueError(
            f"{file}: not a readable matrix ({error}); accepted: {_ACCEPTED}."
        ) from error
    if not matrix.nnz:
        raise ValueError(f"{file}: is empty; accepted: {_ACCEPTED}.")
    return _Interactions(matrix.row, matrix.col, matrix.data, None)


def _read_table(file: pathlib.Path) -> _Interactions:
    separators = {".csv": ",", ".dat": "::"}
    if file.suffix not in separators:
        raise ValueError(f"{file}: is no .csv, .dat or .npz; accepted: {_ACCEPTED}.")
    names: dict[str, dict[str, int]] = dict(user={}, item={})
    kinds = dict(user="q", item="q", rating="d", time="d")
    values: dict[str, Any] = {name: array.array(kind) for name, kind in kinds.items()}
    with open_table(file, separators[file.suffix]) as rows:
        places = dict(zip(_COLUMNS, range(4), strict=True))
        if file.suffix == ".csv":
            places = _find_columns(file, next(rows, (1, []))[1])
        width = max(places.values()) + 1
        for line, cells in rows:
            if len(cells) < width:
                raise ValueError(
                    f"{file}: line {line}: has {len(cells)} cells, not {width}; "
                    f"accepted: {_ACCEPTED}."
                )
            for column, place in places.items():
                cell = cells[place]
                if column in names:
                    known = names[column]
                    values[column].append(known.setdefault(cell, len(known)))
                else:
                    values[column].append(number_in(file, line, column, cell))
    if not len(values["user"]):
        raise ValueError(f"{file}: is empty; accepted: {_ACCEPTED}.")
    user, item = (np.array(values[name]) for name in names)
    rating = np.array(values["rating"]) if "rating" in places else np.ones(len(user))
    time = np.array(values["time"]) if "time" in places else None
    return _Interactions(user, item, rating, time)


def _find_columns(file: pathlib.Path, header: list[str]) -> dict[str, int]:
    """Returns the place of each column that a header names."""
    words = [word.strip().lower() for word in header]
    places = {
        column: words.index(name)
        for column, names in _COLUMNS.items()
        for name in names
        if name in words
    }
    if missing := [column for column in ("user", "item") if column not in places]:
        raise ValueError(
            f"{file}: names no column {missing[0]}, one of "
            f"{', '.join(_COLUMNS[missing[0]])}; it has {header}."
        )
    return places
