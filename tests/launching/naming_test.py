"""What a run is called."""

import re

import pytest

from dynsparse import launching
from dynsparse._internal.program_key import program_key
from tests.launching.commands import CONFIG, parsed
from tests.training import tiny


def named(argument, *flags):
    return parsed(["run", f"{CONFIG}:{argument}", *flags])


@pytest.mark.parametrize(
    ("argument", "flags", "title"),
    [
        ("static", [], "cluttered_digits, static, conv_vit"),
        ("magnitude", [], "cluttered_digits, magnitude, conv_vit"),
        ("soft_topk,vit,sandwich", [], "cluttered_digits, soft_topk, vit, sandwich"),
        (
            "soft_topk",
            ["--config.gate.name=hard_topk"],
            "cluttered_digits, soft_topk with hard_topk, conv_vit",
        ),
        (
            "soft_topk",
            ["--config.model.name=mixer"],
            "cluttered_digits, soft_topk, conv_vit with mixer",
        ),
    ],
)
def test_a_run_is_named_by_the_words_it_was_asked_for_with(argument, flags, title):
    request = named(argument, *flags)
    assert request.title == title
    words = re.split("[ ,]+", title)
    assert "-".join(request.workdir.name.split("-")[:-2]).replace("-", "_") == "_".join(
        words
    )


def test_no_name_of_a_folder_offends_a_file_system():
    request = named("static", "--config.data.name=own.images:Mine/..\\x y")
    assert re.fullmatch(r"runs/[A-Za-z0-9._+=-]+", str(request.workdir))


def test_names_change_no_program():
    plain = [tiny.config(names__method=method) for method in ("a", "b")]
    assert len({program_key(config) for config in plain}) == 1


def test_names_are_recorded_with_the_config():
    names = named("static,mixer").config["names"]
    assert names == dict(method="static", model="mixer", budget="own")


@pytest.mark.parametrize(
    "names",
    [
        ["names.method="],
        ["names={}"],
        ["names={'method': 3}"],
        ["names={}", "gate.name=0"],
    ],
)
def test_names_are_words(names):
    with pytest.raises(launching.UserError, match=r"^names\.m"):
        named("static", *(f"--config.{change}" for change in names))
