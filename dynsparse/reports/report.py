"""The answer of an experiment, and the files that say it."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from dynsparse._internal.atomic_write import atomic_write
from dynsparse.reports import figures, tables
from dynsparse.reports.stats import Row, over_seeds

_SMALL = "Pipeline check: a small run, which claims nothing"
_REFUTED = "What would refute it:"
_SHARED = ("commit", "device", "processor", "cores", "python")

Origin = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Report:
    """The answer of an experiment, with its table and figure.

    Attributes:
        rows: Rows of report.csv.
        columns: Columns that the tables of report.md and report.tex show.
        notes: Paragraphs above the figure.
        figure: Draws on a new matplotlib figure, or None.
        table: Rows that those tables show in place of `rows`, in words; empty for none.
        measured: Rows of seeds.csv, from which `rows` were computed; empty for none.
        answer: First paragraph: whether the claim is supported, contradicted or
            inconclusive, as `answer` says it; empty where nothing is claimed.

    Example:
        >>> reports.Report(rows=[dict(gate="a", error=0.1)], columns=["gate"]).notes
        ()
    """

    rows: Sequence[Row]
    columns: Sequence[str]
    notes: Sequence[str] = ()
    figure: Callable[[Any], None] | None = None
    table: Sequence[Row] = ()
    measured: Sequence[Row] = ()
    answer: str = ""


def report_means(
    measured: Sequence[Row],
    by: Sequence[str],
    of: Mapping[str, str],
    *,
    notes: Sequence[str],
    draw: Callable[[Any, Sequence[Row]], None],
    answer: str = "",
) -> Report:
    """Returns the report of an experiment whose table is means over the seeds.

    Args:
        measured: One row per seed and combination of `by`.
        by: Columns that say what was measured.
        of: Columns of numbers, and how each is written, such as ".3f".
        notes: Paragraphs above the figure.
        draw: Draws the means, as `over_seeds` returns them, on a new figure.
        answer: As in `Report`.

    Example:
        >>> rows = [dict(gate="a", seed=seed, error=0.1 * seed) for seed in (1, 2)]
        >>> found = reports.report_means(
        ...     rows, ["gate"], dict(error=".1f"), notes=[], draw=lambda *_: None
        ... )
        >>> found.table
        [{'gate': 'a', 'seeds': 2, 'error': '0.2 ± 0.6'}]
    """
    means = over_seeds(measured, by, list(of))
    return Report(
        rows=means,
        columns=[*by, *of, "seeds"],
        table=[row | {name: f"{row[name]:{of[name]}}" for name in of} for row in means],
        measured=measured,
        notes=notes,
        figure=lambda figure: draw(figure, means),
        answer=answer,
    )


def write_report(
    out: pathlib.Path,
    report: Report,
    *,
    name: str,
    claim: str,
    command: str,
    where: Origin,
    small: bool = False,
):
    """Writes report.csv, report.tex, figure.png, .svg and .pdf and, last, report.md.

    That has the answer, the claim, the notes, the figure and the table; then what would
    refute the claim, and how and where the numbers were made. Each file is there whole
    or as it was before, whatever happens while it is written.

    Args:
        out: An existing folder.
        report: What the experiment says.
        name: Name of the experiment.
        claim: What it set out to show, and what would refute it; empty for none.
        command: Makes the report again.
        where: Commit, device and versions that the numbers come from, as of
            `common_origin`.
        small: Whether the sweep only proves that everything works, which report and
            figure then say in place of an answer.

    Example:
        >>> import pathlib
        >>> report = reports.Report(rows=[dict(gate="a", error=0.1)], columns=["gate"])
        >>> where = dict(commit="a", device="cpu", processor="x86_64", cores=2)
        >>> where |= dict(python="3.11", packages=dict(jax="0.10.2"))
        >>> words = dict(name="errors", claim="there are some.", command="make")
        >>> reports.write_report(pathlib.Path(), report, **words, where=where)
        >>> pathlib.Path("report.md").read_text().splitlines()[2]
        'Claim: There are some.'
    """
    table = report.table or report.rows
    tables.write_csv(out / "report.csv", report.rows)
    if report.measured:
        tables.write_csv(out / "seeds.csv", report.measured)
    with atomic_write(out / "report.tex") as file:
        file.write_text(tables.latex_table(table, report.columns))
    said, refuted, how = claim.partition(_REFUTED)
    answer = f"**{_SMALL}.**" if small else report.answer
    lines = [f"# {name}", *([answer] if answer else [])]
    if claim:
        lines += [f"Claim: {said[0].upper()}{said[1:].strip()}"]
    lines += report.notes
    if report.figure is not None:
        figure = Figure(figsize=(9, 5), layout="constrained")
        report.figure(figure)
        if small:
            told = filter(None, [figure.get_suptitle(), _SMALL])
            figure.suptitle("; ".join(told), fontsize="medium", wrap=True)
        figures.save(figure, out / "figure")
        lines.append(f"![{name}](figure.png)")
    lines += [tables.markdown_table(table, report.columns)]
    lines += [refuted + how] if refuted else []
    lines += [f"`{command}`", _origin_in_words(where, report)]
    with atomic_write(out / "report.md") as file:
        file.write_text("\n\n".join(lines) + "\n")


def common_origin(results: Sequence[Origin]) -> dict[str, Any]:
    """Returns where several runs come from, as one: what they share, or all there is.

    Args:
        results: Contents of result.json, at least one.

    Example:
        >>> one = dict(commit="a", device="cpu", processor="x86_64", cores=2)
        >>> one |= dict(python="3.11", packages=dict(jax="0.10.2"))
        >>> reports.common_origin([one, one | dict(commit="b")])["commit"]
        'a and b'
    """

    def joined(values):
        found = list(dict.fromkeys(values))
        return found[0] if len(found) == 1 else " and ".join(map(str, found))

    packages = [one["packages"] for one in results]
    names = dict.fromkeys(name for some in packages for name in some)
    return {key: joined(one[key] for one in results) for key in _SHARED} | dict(
        packages={
            name: joined(some.get(name, "none") for some in packages) for name in names
        }
    )


def _origin_in_words(where: Origin, report: Report) -> str:
    """One sentence: commit, device, cores, versions and seeds."""
    commits = []
    for commit in where["commit"].split(" and "):
        known, changed, which = commit.partition("+")
        words = f" (with local changes{f' {which}' * bool(which)})"
        commits.append(known + words * bool(changed))
    made_with = [f"Python {where['python']}"]
    made_with += [f"{name} {version}" for name, version in where["packages"].items()]
    rows = (*report.rows, *report.measured)
    seeds = sorted({row["seed"] for row in rows if row.get("seed") is not None})
    named = f"; seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    return (
        f"Measured at commit {' and '.join(commits)} on {where['device']} "
        f"({where['cores']} cores, {where['processor']}) with "
        f"{', '.join(made_with)}{named * bool(seeds)}."
    )
