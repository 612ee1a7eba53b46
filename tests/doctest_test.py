"""Examples in docstrings run, and public names of the listed packages have one.

Examples need not import `jax`, `jnp`, `np`, `nnx` or the packages of the library, such
as `ops`. They run in an empty folder. A number has to agree to the digits that are
written: `0.73` stands for 0.7299999.
"""

import ast
import doctest
import importlib
import pathlib
import re

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
COMPLETE = [
    "dynsparse.budgets",
    "dynsparse.costs",
    "dynsparse.data",
    "dynsparse.gates",
    "dynsparse.layers",
    "dynsparse.layers.scorers",
    "dynsparse.models",
    "dynsparse.ops",
    "dynsparse.reports",
    "dynsparse.serving",
    "dynsparse.testing",
    "dynsparse.training",
]

DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class ToTheDigitsWritten(doctest.OutputChecker):
    """Accepts numbers that round to those of the example, whatever the white space."""

    NUMBER = re.compile(r"-?\d+\.\d*(?:e[+-]?\d+)?")

    def check_output(self, want, got, optionflags):
        if super().check_output(want, got, optionflags):
            return True
        numbers = [self.NUMBER.findall(text) for text in (want, got)]
        texts = ["".join(self.NUMBER.sub("#", text).split()) for text in (want, got)]
        return texts[0] == texts[1] and all(map(self.agree, *numbers))

    def agree(self, want, got):
        digits, _, power = want.partition(".")[2].partition("e")
        last_place = 10.0 ** (int(power or 0) - len(digits))
        return abs(float(want) - float(got)) <= 0.5001 * last_place


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
        ToTheDigitsWritten(),
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
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
