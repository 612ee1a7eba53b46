"""Puts the results of finished runs into the README.

    python -m experiments.readme --run RUN_DIR --control RANDOM_RUN_DIR

Copies what the runs wrote to docs/cluttered_digits and writes the table between the
markers of README.md from it, so that no number there is typed.
"""

import argparse
import json
import pathlib
import shutil
from typing import Any

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs/cluttered_digits"
START, END = "<!-- results: python -m experiments.readme -->", "<!-- end -->"
FILES = ("config.json", "curve.csv", "curve.png", "kept.png", "result.json")


def block(docs: pathlib.Path) -> str:
    """Returns the table and its provenance, from the results in `docs`."""
    result, control = (
        json.loads((docs / name).read_text()) for name in ("result.json", "random.json")
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
        f"flax {packages['flax']}; 10,000 test pictures; times are medians of batches "
        f"of {result['batch_size']} beside the dense network. No gate can close "
        f"{result['macs_floor'] / result['macs_dense']:.1%} of the dense MACs (the "
        f"floor). Random tokens: commit {control['commit'][:12]}, trained apart with "
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


def with_block(readme: str, docs: pathlib.Path) -> str:
    """Returns the text of the README with its results written anew."""
    before, _, rest = readme.partition(START)
    _, _, after = rest.partition(END)
    return before + block(docs) + after


def main():
    """Copies the runs and rewrites the README."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("--run", "--control"):
        parser.add_argument(name, type=pathlib.Path, required=True, metavar="DIR")
    arguments = parser.parse_args()
    DOCS.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(arguments.run / name, DOCS / name)
    shutil.copy(arguments.control / "result.json", DOCS / "random.json")
    readme = ROOT / "README.md"
    readme.write_text(with_block(readme.read_text(), DOCS))


if __name__ == "__main__":
    main()
