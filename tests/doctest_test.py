"""Examples in docstrings run, and public names of the listed packages have one.

Examples need not import `jax`, `jnp`, `np`, `nnx` or the packages of the library, such
as `ops`. They run in an empty folder.
"""

import ast
import doctest
import importlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dynsparse

ROOT = pathlib.Path(dynsparse.__file__).parent
PACKAGES = sorted(p.parent.name for p in ROOT.glob("[!_]*/__init__.py"))
FILES = [p for p in sorted(ROOT.rglob("*.py")) if ">>>" in p.read_text()]
# Packages of which every public function and class has an example.
COMPLETE: list[str] = [
    "dynsparse.serving",
]

DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def examples(path):
    """The examples of each docstring of a file, read from its source.

    An import would give functions as type checks and `jax.jit` have wrapped them, of
    which doctest finds none.
    """
    known = dict(jax=jax, jnp=jnp, np=np, nnx=nnx)
    for package in PACKAGES:
        known[package] = importlib.import_module(f"dynsparse.{package}")
    for node in ast.walk(ast.parse(path.read_text())):
        docstring = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
        if docstring and ">>>" in docstring:
            name = getattr(node, "name", path.stem)
            line = node.body[0].lineno - 1
            yield doctest.DocTestParser().get_doctest(
                docstring, known, name, str(path), line
            )


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_examples_give_what_they_say(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    told = []
    for example in examples(path):
        runner.run(example, out=told.append)
    assert not told, "".join(told)


def test_every_public_name_has_an_example():
    missing = []
    for package in COMPLETE:
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and ">>>" not in (value.__doc__ or ""):
                missing.append(f"{package}.{name}")
    assert missing == []
