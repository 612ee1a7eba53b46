"""The notebook of docs/ runs from its first cell to its last, as in a fresh kernel."""

import os
import pathlib

import nbclient
import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.system
def test_the_notebook_runs(tmp_path, monkeypatch):
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    notebook = nbformat.read(ROOT / "docs/notebook.ipynb", as_version=4)
    resources = dict(metadata=dict(path=str(tmp_path)))
    nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
    assert (tmp_path / "runs/notebook/curve.png").exists()
    labels = notebook.cells[-1].outputs[0]["data"]["text/plain"]
    assert labels.startswith("Array([")
    lines = "".join(c.source + "\n" for c in notebook.cells if c.cell_type == "code")
    assert len([line for line in lines.splitlines() if line.strip()]) <= 15
