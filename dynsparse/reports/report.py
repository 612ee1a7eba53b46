"""The answer of an experiment, and the files that say it."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from dynsparse._internal.atomic_write import atomic_write
from dynsparse.reports import figures, stats, tables
from dynsparse.reports.tables import Row

_SMALL = "Pipeline check: a small run, which claims nothing"
_REFUTED = "What would refute it:"
_SHARED = ("commit", "device", "processor", "cores", "python")

Origin = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Report:
    """The answer of an experiment, with its table and figures.

    Attributes:
        rows: Rows of report.csv, all with the same columns.
        columns: Columns that the tables of report.md and report.tex show.
        notes: Paragraphs above the figure.
        figure: Draws on a new matplotlib figure, or None.
        column: Draws on another, as wide as a column of a paper, or None; returns the
            height that it needs, in inches.
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
    column: Callable[[Any], float] | None = None
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
        [{'gate': 'a', 'error': '0.2 ± 0.6', 'seeds': 2}]
    """
    means = stats.over_seeds(measured, by, list(of))
    cell = lambda row, name: tables.with_half(
        row[f"{name}_mean"], row[f"{name}_half"], of[name]
    )
    return Report(
        rows=means,
        columns=[*by, *of, "seeds"],
        table=[
            {key: row[key] for key in by}
            | {name: cell(row, name) for name in of}
            | dict(seeds=row["seeds"])
            for row in means
        ],
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
    refute the claim, and how and where the numbers were made. A column is in
    figure-column, with the same endings. Each file is there whole or as it was before,
    whatever happens while it is written.

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
        >>> reports.write_report(
        ...     pathlib.Path(),
        ...     report,
        ...     name="errors",
        ...     claim="there are some.",
        ...     command="make",
        ...     where=where,
        ... )
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
    lines += [f"Claim: {_capital(said)}"] if claim else []
    lines += report.notes
    if report.column is not None:
        with matplotlib.rc_context({"font.size": 7}):
            _draw(out / "figure-column", report.column, small)
    if report.figure is not None:
        _draw(out / "figure", report.figure, small)
        lines.append(f"![{name}](figure.png)")
    lines += [tables.markdown_table(table, report.columns)]
    lines += [refuted + how] if refuted else []
    lines += [f"`{command}`", _origin_in_words(where, _seeds(report))]
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
    names = dict.fromkeys(name for one in results for name in one["packages"])
    versions = lambda name: (one["packages"].get(name, "none") for one in results)
    shared: dict[str, Any] = {
        key: _join(one[key] for one in results) for key in _SHARED
    }
    return shared | dict(packages={name: _join(versions(name)) for name in names})


def _join(values) -> Any:
    found = list(dict.fromkeys(values))
    return found[0] if len(found) == 1 else " and ".join(str(value) for value in found)


def _origin_in_words(where: Origin, seeds: Sequence[int]) -> str:
    """One sentence: commit, device, cores, versions and seeds."""
    commits = []
    for commit in where["commit"].split(" and "):
        known, changed, which = commit.partition("+")
        words = f" (with local changes{f' {which}' * bool(which)})"
        commits.append(known + words * bool(changed))
    versions = [f"{name} {version}" for name, version in where["packages"].items()]
    python = f"Python {where['python']}"
    named = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    return (
        f"Measured at commit {' and '.join(commits)} on {where['device']} "
        f"({where['cores']} cores, {where['processor']}) with "
        f"{', '.join([python, *versions])}{f'; {named}' * bool(seeds)}."
    )


def _seeds(report: Report) -> list[int]:
    rows = [*report.rows, *report.measured]
    return sorted({row["seed"] for row in rows if row.get("seed") is not None})


def _draw(stem: pathlib.Path, draw: Callable[[Any], Any], small: bool):
    figure = Figure(figsize=(9, 5), layout="constrained")
    draw(figure)
    if small:
        title = figure.get_suptitle()
        told = f"{title} ({_SMALL})" if title else _SMALL
        figure.suptitle(told, fontsize="medium", wrap=True)
    figures.save(figure, stem)


def _capital(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:]
