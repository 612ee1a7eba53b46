"""Writes results and tables into README and docs, so that nothing there is typed.

    python -m experiments.readme [--run RUN_DIR --control RANDOM_RUN_DIR]

Copies what two finished runs wrote to docs/cluttered_digits, where they are named, and
writes what stands between the markers of README.md and docs/: the table of these runs,
and those of methods, models, budgets and experiments.
"""

import argparse
import ast
import json
import pathlib
import re
import shutil
from typing import Any

from dynsparse import configs
from dynsparse.reports.tables import markdown_table

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs/cluttered_digits"
RESULTS = "experiments/results"
TABLE = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end of table -->)", re.S)
COLUMNS = dict(
    method=("name", "advice", "budget", "paper"),
    model=("name", "advice", "granularities", "paper"),
    budget=("name", "advice", "paper"),
)
FILES = ("config.json", "curve.csv", "curve.png", "kept.png", "result.json")


def block(docs: pathlib.Path) -> str:
    """Returns the table and its provenance, from the results in `docs`."""
    result, control, config = (
        json.loads((docs / f"{name}.json").read_text())
        for name in ("result", "random", "config")
    )
    rows = [_row(*pair) for pair in zip(result["curve"], control["curve"], strict=True)]
    packages = result["packages"]
    where = (
        f"Commit {result['commit'][:12]}, seed {result['seed']}, {result['device']} "
        f"({result['cores']} cores), Python {result['python']}, jax {packages['jax']}, "
        f"flax {packages['flax']}; {config['data']['num_test']:,} test images; "
        f"times are medians of batches of {result['batch_size']} beside the dense "
        f"network. No gate can close {result['macs_floor'] / result['macs_dense']:.1%} "
        f"of the dense MACs (the floor). Random tokens: commit "
        f"{control['commit'][:12]}, trained apart with "
        f"`random_topk`, seed {control['seed']}."
    )
    return f"{markdown_table(rows, list(rows[0]))}\n\n{where}\n"


def _row(point: dict[str, Any], other: dict[str, Any]) -> dict[str, str]:
    (found,) = point["recovery"].values()
    beside = lambda name: f"{found[name]:.2f} ({found[f'random_{name}']:.2f})"
    return {
        "density": f"{point['density']:.3f}",
        "M MACs": f"{point['macs_mean'] / 1e6:.2f}",
        "of dense MACs": f"{point['budget']:.3f}",
        "of dense time": f"{point['latency_ms'] / point['latency_dense_ms']:.2f}",
        "test accuracy": f"{100 * point['score']:.1f} %",
        "random tokens": f"{100 * other['score']:.1f} %",
        "precision (random)": beside("precision"),
        "recall (random)": beside("recall"),
    }


def table(kind: str) -> str:
    """Returns the table of all methods, models, budgets or experiments in Markdown.

    Args:
        kind: "method", "model", "budget" or "experiment"; "run" for the runs in docs/.
    """
    if kind == "experiment":
        return _experiments()
    if kind == "run":
        return block(DOCS)
    names = dict(zip((kind, *COLUMNS[kind][1:]), COLUMNS[kind], strict=True))
    rows = [
        {head: _cell(name, getattr(row, name)) for head, name in names.items()}
        for row in configs.TABLES[kind].values()
    ]
    return markdown_table(rows, list(names)) + "\n"


def _experiments() -> str:
    """The question of each experiment, and its committed answer, as docs/ links it."""
    rows = []
    for path in sorted((ROOT / "experiments").glob("[!_]*.py")):
        told = ast.get_docstring(ast.parse(path.read_text())) or ""
        if "\nClaim: " in told:
            folder = f"{RESULTS}/{path.stem}"
            committed = (ROOT / folder / "report.md").exists()
            answer = f"[report](../{folder}/report.md)" if committed else "small only"
            asks = told.partition("\n")[0]
            rows.append(dict(experiment=f"`{path.stem}`", asks=asks, answer=answer))
    return markdown_table(rows, list(rows[0])) + "\n"


def _cell(column: str, value: Any) -> str:
    if column == "paper":
        return re.sub(r"arXiv:(\S+)", r"[\g<0>](https://arxiv.org/abs/\1)", value)
    names = value if isinstance(value, tuple) else (value,)
    return value if column == "advice" else ", ".join(f"`{name}`" for name in names)


def written_anew(page: str) -> str:
    """Returns the text of the README or another page with its results written anew."""
    return TABLE.sub(lambda found: found[1] + table(found[2]) + found[3], page)


def pages() -> list[pathlib.Path]:
    """The README and the pages of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def main():
    """Copies the runs, if there are any, and rewrites the pages."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("--run", "--control"):
        parser.add_argument(name, type=pathlib.Path, metavar="DIR")
    arguments = parser.parse_args()
    if (arguments.run is None) != (arguments.control is None):
        parser.error("--run and --control go together")
    if arguments.run is not None:
        DOCS.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copy(arguments.run / name, DOCS / name)
        shutil.copy(arguments.control / "result.json", DOCS / "random.json")
    for page in pages():
        page.write_text(written_anew(page.read_text()))


if __name__ == "__main__":
    main()
