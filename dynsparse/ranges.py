"""How settings refuse a value that is out of range."""

import re
from typing import Any


def check(settings: Any, key: str, holds: bool, accepted: str):
    """Raises a ValueError that names `key` of `settings` unless its value `holds`.

    Args:
        settings: Called in the error as configs call it.
        key: An attribute of it.
        holds: Whether its value is accepted.
        accepted: What is, in words.
    """
    if not holds:
        value = getattr(settings, key)
        raise ValueError(
            f"{called(settings)}: {key} must be {accepted}, got {value!r}."
        )


def called(settings: Any) -> str:
    """As configs write it: "pi_controller" for PiController, "train" for TrainSettings.

    Args:
        settings: An instance.
    """
    words = re.findall("[A-Z][a-z0-9]*", type(settings).__name__)
    return "_".join(words).lower().removesuffix("_settings")
