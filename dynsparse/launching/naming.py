"""What a run is called: the words that its config was asked for with."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict

from dynsparse.launching.errors import UserError

_WORDS = ("method", "model", "budget")
_OWN = "own"  # the budget of a config that names none
_LONGEST = 40  # characters of a word in a name of a folder
# Sections whose own name says what a word stands for.
_STANDS_FOR = (("gate", "method"), ("scorer", "method"), ("model", "model"))


def title(config: Mapping[str, Any]) -> str:
    """Name of a run in figures and tables: "cluttered_digits, static, conv_vit"."""
    words = [config["names"][word] for word in _WORDS]
    return ", ".join([config["data"]["name"], *(w for w in words if w != _OWN)])


def stem(config: Mapping[str, Any]) -> str:
    """The title as a name that every file system takes."""
    words = re.sub(r"[^A-Za-z0-9._+=, ]+", "_", title(config)).split(", ")
    safe = [word.replace(" ", "_").replace(",", "_")[:_LONGEST] for word in words]
    return "-".join(safe).lstrip(".-")


@contextlib.contextmanager
def renaming(config: ConfigDict) -> Iterator[None]:
    """Adds to the words of a config the names that change while this is entered."""
    before = _names(config)
    yield
    for section, name in _names(config).items():
        if before.get(section, name) != name:
            word, words = dict(_STANDS_FOR)[section], config.names
            with words.unlocked():
                words[word] = f"{words[word]} with {name}"


def check_names(config: ConfigDict):
    """Refuses a section `names` that is not the three words.

    Raises:
        UserError: If it is not.
    """
    words = config.names.to_dict() if isinstance(config.names, ConfigDict) else {}
    plain = all(isinstance(word, str) and word for word in words.values())
    if sorted(words) != sorted(_WORDS) or not plain:
        raise UserError(f"names: needs a word for each of {', '.join(_WORDS)}.")


def _names(config: ConfigDict) -> dict[str, str]:
    sections = {section: config.to_dict()[section] for section, _ in _STANDS_FOR}
    named = {s: v for s, v in sections.items() if isinstance(v, dict) and "name" in v}
    return {section: values["name"] for section, values in named.items()}
