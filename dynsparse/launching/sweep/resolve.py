"""The complete config of a training trial, by ml_collections alone."""

import json
from collections.abc import Mapping
from typing import Any

from dynsparse._internal.sections import check_sections
from dynsparse.launching import naming
from dynsparse.launching.errors import UserError
from dynsparse.launching.overrides import check_key
from dynsparse.launching.sweep.changes import Changes
from dynsparse.launching.sweep.source import load


def resolve(
    config: str, overrides: Mapping[str, Any], seed: int, changes: Changes
) -> dict[str, Any]:
    """Returns the plain values of a config, as JSON would give them back.

    Args:
        config: "FILE.py" or "FILE.py:ARGUMENT", as after --config.
        overrides: Values by dotted key.
        seed: Of the run; becomes `config.seed`.
        changes: Values that the command wants otherwise.

    Raises:
        UserError: If a file, an argument, a key or a value is not accepted.
    """
    path, _, argument = config.partition(":")
    module = load(path)
    try:
        found = module.get_config(*filter(None, [argument]))
        check_sections(found)
        for key in overrides:
            check_key(found, key, key)
        before = naming.section_names(found)
        found.update_from_flattened_dict({**overrides, "seed": seed})
        naming.rename(found, before)
        found = changes.apply(found)
    except Exception as error:  # a config is code: anything may come out of it
        raise UserError(f"{config}: {_text(error)}") from error
    return json.loads(found.to_json_best_effort())


def _text(error: Exception) -> str:
    return str(error.args[0]) if isinstance(error, KeyError) else str(error)
