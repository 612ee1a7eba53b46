"""The finished runs of a sweep: folders METHOD/SETTING/SEED."""

import json
import pathlib
from typing import Any

from dynsparse.reports.curve import read_curve


def read_sweep(sweep: pathlib.Path) -> list[dict[str, Any]]:
    """Returns one row per finished run and point of its curve.

    Args:
        sweep: Folder of run folders METHOD/SETTING/SEED; those without result.json are
            not finished and left out.

    Returns:
        `method`, `setting`, `seed` and `trial`, the folder within the sweep, beside the
        fields of curve.csv.
    """
    rows = []
    for path in sorted(sweep.glob("[!_]*/*/*/result.json")):
        run = path.parent
        place = run.relative_to(sweep)
        method, setting, _ = place.parts
        seed = json.loads(path.read_text())["seed"]
        names = dict(method=method, setting=setting, seed=seed, trial=str(place))
        rows += [names | row for row in read_curve(run)]
    return rows
