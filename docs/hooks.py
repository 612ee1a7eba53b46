"""Adds to the site what stands outside of docs/: reports and the help of the verbs."""

import os
import pathlib
import re
import subprocess
import sys

from mkdocs.structure.files import File, Files

ROOT = pathlib.Path(__file__).parents[1]
REPORTS = sorted((ROOT / "experiments/results").glob("*/report.md"))


def on_files(files: Files, config) -> Files:
    """Adds the README as the first page, CONTRIBUTING, and reports with figures."""
    readme = (ROOT / "README.md").read_text().replace("](docs/", "](")
    contributing = (ROOT / "CONTRIBUTING.md").read_text().replace("](docs/", "](")
    files.append(File.generated(config, "index.md", content=readme))
    files.append(File.generated(config, "CONTRIBUTING.md", content=contributing))
    for report in REPORTS:
        name = report.parent.name
        text = f"# {name}\n\n{report.read_text().partition(chr(10))[2]}"
        files.append(File.generated(config, f"results/{name}/report.md", content=text))
        for figure in report.parent.glob("*.png"):
            place = f"results/{name}/{figure.name}"
            files.append(File.generated(config, place, abs_src_path=str(figure)))
    return files


def on_page_markdown(markdown: str, page, config, files) -> str:
    """Writes the help of the verbs, and links to the pages of reports."""
    if "<!-- help -->" in markdown:
        markdown = markdown.replace("<!-- help -->", "\n\n".join(map(_help, _VERBS)))
    return re.sub(r"\((?:\.\./)+experiments/results/", "(results/", markdown)


_VERBS = ("run", "sweep", "serve", "compare", "report", "prepare")


def _help(verb: str) -> str:
    command = [sys.executable, "-m", "dynsparse", verb, "--help"]
    known = dict(os.environ, COLUMNS="88")
    told = subprocess.run(
        command, cwd=ROOT, env=known, check=True, capture_output=True, text=True
    )
    return f"## {verb}\n\n```text\n{told.stdout}```"
