"""Writes into the docs which granularities fit which hosts of the tests.

python -m tests.layers.zoo.table
"""

import pathlib
import re
from typing import Any

import jax
from flax import nnx

import dynsparse
from dynsparse.reports.tables import markdown_table
from tests.layers.zoo.zoo import ZOO, Entry

PAGE = pathlib.Path(__file__).parents[3] / "docs/hosts.md"
MARKS = re.compile(r"(<!-- hosts -->\n).*(<!-- end of hosts -->)", re.S)
SOFT = dict(name="soft_topk", density=0.5, temperature=1.0, family="logistic")
GUMBEL = dict(name="gumbel_sigmoid", temperature=1.0)
OPTIONS: dict[str, dict[str, Any]] = dict(
    blocks={},
    bypass={},
    heads={},
    neurons=dict(num_blocks=4),
    width=dict(num_slices=4),
    channels=dict(num_groups=4),
    experts={},
)


def refusal(entry: Entry, kind: str) -> str | None:
    """Why `sparsify` refuses a granularity of a host, or None where it takes it."""
    rule = dict(granularity=kind, gate=GUMBEL if kind == "blocks" else SOFT)
    rule |= OPTIONS[kind] | entry.fits.get(kind, {})
    if kind != "width":
        rule.setdefault("scorer", dict(name="linear"))
    host, rngs = entry.make(nnx.Rngs(0)), nnx.Rngs(1, gate=2)
    try:
        with jax.numpy_rank_promotion("allow"):
            dynsparse.sparsify(host, {"": rule}, entry.call, rngs=rngs)
    except ValueError as error:
        reason, more, _ = str(error).partition("'': ")[2].rstrip(".").partition("; ")
        return f"{reason} ...)" if more else reason
    return None


def table() -> str:
    """Returns the table of hosts and granularities, and the reasons below it."""
    rows, reasons = [], []
    for name, entry in ZOO.items():
        doc = type(entry.make(nnx.Rngs(0))).__doc__ or name
        row = dict(host=doc.partition("\n")[0].rstrip("."))
        for kind in OPTIONS:
            reason = refusal(entry, kind)
            if reason is not None and reason not in reasons:
                reasons.append(reason)
            row[kind] = "yes" if reason is None else f"({reasons.index(reason) + 1})"
        rows.append(row)
    notes = [f"{i}. {reason}." for i, reason in enumerate(reasons, 1)]
    return "\n".join([markdown_table(rows, list(rows[0])), "", *notes, ""])


if __name__ == "__main__":
    page = PAGE.read_text()
    PAGE.write_text(MARKS.sub(lambda found: f"{found[1]}{table()}{found[2]}", page))
