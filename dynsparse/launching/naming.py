"""What a run is called: the words that its config was asked for with."""

import re
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from dynsparse.launching.errors import UserError

_WORDS = ("method", "model", "budget")
_OWN = "own"  # the budget of a config that names none
# Sections whose own name says what a word stands for.
_STANDS_FOR = (("gate", "method"), ("scorer", "method"), ("model", "model"))


def title(config: Mapping[str, Any]) -> str:
    """Names a run in figures and tables: "cluttered_digits, static, conv_vit".

    Args:
        config: Complete.
    """
    return ", ".join(_said(config))


def stem(config: Mapping[str, Any]) -> str:
    """The same as a name that every file system takes.

    Args:
        config: Complete.
    """
    words = [re.sub(r"[^A-Za-z0-9._+=]+", "_", word) for word in _said(config)]
    return "-".join(word[:_LONGEST] for word in words).lstrip(".-")


def rename(config: ConfigDict, before: Mapping[str, str]):
    """Adds to the words of a config what was put in the place of what they stand for.

    Args:
        config: Changed in place where a value of the command changed a name.
        before: Its `section_names` until then.
    """
    for section, word in _STANDS_FOR:
        name = section_names(config).get(section)
        if section in before and name not in (None, before[section]):
            words: Any = config.names
            with words.unlocked():
                words[word] = f"{words[word]} with {name}"


def section_names(config: ConfigDict) -> dict[str, str]:
    """The names in the sections that the words of a config stand for.

    Args:
        config: Sections without a name are left out.
    """
    plain = config.to_dict()
    sections = {section: plain[section] for section, _ in _STANDS_FOR}
    return {
        section: values["name"]
        for section, values in sections.items()
        if isinstance(values, dict) and "name" in values
    }


def check_names(config: ConfigDict):
    """Refuses a section `names` that is not the three words.

    Raises:
        UserError: If it is not.
    """
    names = config.names
    words = names.to_dict() if isinstance(names, ConfigDict) else {}
    if sorted(words) != sorted(_WORDS) or not all(
        isinstance(word, str) and word for word in words.values()
    ):
        raise UserError(f"names: needs a word for each of {', '.join(_WORDS)}.")


def _said(config: Mapping[str, Any]) -> list[str]:
    words = [config["names"][word] for word in _WORDS]
    return [config["data"]["name"], *(word for word in words if word != _OWN)]


_LONGEST = 40  # characters of a word in a name of a folder
