"""Which code a number comes from."""

import subprocess

import pytest

from dynsparse._internal import provenance


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with one commit, which the provenance is that of."""
    module = tmp_path / "dynsparse" / "provenance.py"
    module.parent.mkdir()
    module.write_text("one")
    for words in (
        ("init", "-q"),
        ("add", "-A"),
        ("-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "one"),
    ):
        subprocess.run(("git", "-C", str(tmp_path), *words), check=True)
    monkeypatch.setattr(provenance, "__file__", str(module))
    return tmp_path


def commit():
    return provenance.provenance()["commit"]


@pytest.mark.system
def test_a_clean_checkout_is_its_commit(checkout):
    (checkout / "notes.txt").write_text("no code")
    assert len(commit()) == 40


@pytest.mark.system
@pytest.mark.parametrize("name", ["dynsparse/provenance.py", "experiments/new.py"])
def test_changed_checkouts_are_told_apart(checkout, name):
    path = checkout / name
    path.parent.mkdir(exist_ok=True)
    found = []
    for text in ("two", "three", "two"):
        path.write_text(text)
        found.append(commit())
    assert found[0] == found[2] != found[1]
    assert all(words[40] == "+" for words in found)
