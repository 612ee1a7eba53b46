"""Puts results into the README, so that no number there is typed.

    python -m experiments.readme [--run RUN_DIR --control RANDOM_RUN_DIR]

Copies what two finished runs wrote to docs/cluttered_digits, where they are named, and
writes what stands between the markers of README.md: the table of these runs, and the
tables and figures of reports in experiments/results.
"""

import argparse
import json
import pathlib
import re
import shutil
from typing import Any

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs/cluttered_digits"
RESULTS = "experiments/results"
START, END = "<!-- results: python -m experiments.readme -->", "<!-- end -->"
REPORT = re.compile(r"(<!-- report (\w+) -->\n).*?(<!-- end of report -->)", re.S)
FILES = ("config.json", "curve.csv", "curve.png", "kept.png", "result.json")


def block(docs: pathlib.Path) -> str:
    """Returns the table and its provenance, from the results in `docs`."""
    result, control, config = (
        json.loads((docs / f"{name}.json").read_text())
        for name in ("result", "random", "config")
    )
    lines = [
        "| density | M MACs | of dense MACs | of dense time | test accuracy | random "
        "tokens | precision (random) | recall (random) |",
        "| --- " * 8 + "|",
    ]
    for point, other in zip(result["curve"], control["curve"], strict=True):
        lines.append(_row(point, other))
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
    return "\n".join([START, *lines, "", where, END])


def _row(point: dict[str, Any], other: dict[str, Any]) -> str:
    found = point["recovery"]
    cells = [
        f"{point['density']:.3f}",
        f"{point['macs_mean'] / 1e6:.2f}",
        f"{point['budget']:.3f}",
        f"{point['latency_ms'] / point['latency_dense_ms']:.2f}",
        f"{100 * point['accuracy']:.1f} %",
        f"{100 * other['accuracy']:.1f} %",
        f"{found['precision']:.2f} ({found['random_precision']:.2f})",
        f"{found['recall']:.2f} ({found['random_recall']:.2f})",
    ]
    return "| " + " | ".join(cells) + " |"


def reported(name: str) -> str:
    """Returns what a committed report says after its claim, for README.md.

    Args:
        name: Of the experiment.
    """
    folder = f"{RESULTS}/{name}"
    _, _, command, *found = (ROOT / folder / "report.md").read_text().split("\n\n")
    text = "\n\n".join([command, *found])
    return text.replace("](figure.png)", f"]({folder}/figure.png)")


def written_anew(readme: str) -> str:
    """Returns the text of the README with its results written anew."""
    before, _, rest = readme.partition(START)
    _, _, after = rest.partition(END)
    whole = before + block(DOCS) + after
    return REPORT.sub(lambda found: found[1] + reported(found[2]) + found[3], whole)


def main():
    """Copies the runs, if there are any, and rewrites the README."""
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
    readme = ROOT / "README.md"
    readme.write_text(written_anew(readme.read_text()))


if __name__ == "__main__":
    main()
