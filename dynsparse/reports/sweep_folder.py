"""The finished runs of a sweep: folders METHOD/SETTING/SEED."""

import pathlib
from typing import Any

from dynsparse.reports.curve import read_curve
from dynsparse.reports.records import read_run


def read_sweep(sweep: pathlib.Path) -> list[dict[str, Any]]:
    """Returns one row per finished run and point of its curve.

    Args:
        sweep: Folder of run folders METHOD/SETTING/SEED; those without result.json are
            not finished and left out.

    Returns:
        `method`, `setting`, `seed` and `trial`, the folder within the sweep, beside the
        fields of curve.csv.

    Raises:
        DamagedFileError: If a file of a run is missing or damaged.
    """
    rows = []
    for path in sorted(sweep.glob("[!_]*/*/*/result.json")):
        run = path.parent
        place = run.relative_to(sweep)
        method, setting, _ = place.parts
        _, result = read_run(run)
        names = dict(
            method=method, setting=setting, seed=result["seed"], trial=str(place)
        )
        rows += [names | row for row in read_curve(run)]
    return rows
