"""What `import dynsparse` offers: names that resolve, are seen, and are typed."""

import ast
import pathlib
import pydoc

import pytest

import dynsparse


@pytest.mark.parametrize("name", dynsparse.__all__)
def test_every_name_resolves(name):
    assert getattr(dynsparse, name).__name__.rpartition(".")[2] == name


def test_dir_lists_what_is_public_and_nothing_else():
    assert sorted(dynsparse.__all__ + ["__version__"]) == dir(dynsparse)


def test_help_shows_the_names():
    text = pydoc.render_doc(dynsparse, renderer=pydoc.plaintext)
    for name in ("sparsify(", "bill(", "class Ladder(", "class GateOutput("):
        assert name in text


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'sparsfy'"):
        _ = dynsparse.sparsfy


def test_names_are_imported_for_type_checkers():
    """But for the folders that a checkout has beside the package."""
    tree = ast.parse(pathlib.Path(dynsparse.__file__).read_text())
    typed = {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert typed == set(dynsparse.__all__) - {"configs", "experiments"}
    assert (pathlib.Path(dynsparse.__file__).parent / "py.typed").exists()
