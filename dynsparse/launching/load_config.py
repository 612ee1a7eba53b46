"""A config from its file."""

import importlib.util

from ml_collections import ConfigDict

from dynsparse._internal.sections import check_sections
from dynsparse.launching.errors import UserError
from dynsparse.launching.shipped import HOME, find_file, load_module


def load_config(asked: str) -> ConfigDict:
    """Returns the config of "FILE.py" or "FILE.py:ARGUMENT", complete and locked.

    Args:
        asked: FILE.py may be the name of a file of configs/ without its ending.

    Raises:
        UserError: If there is no such file, or it does not give a config.
    """
    name, colon, argument = asked.partition(":")
    path = find_file(name, "configs")
    try:
        if path.is_relative_to(HOME):
            module = load_module(str(path), "configs")
        else:
            spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
            if spec is None or spec.loader is None:
                raise UserError("is no Python file")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        config = module.get_config(*([argument] if colon and argument else []))
        if not isinstance(config, ConfigDict):
            raise TypeError(f"get_config() gives a {type(config).__name__}")
        check_sections(config)
    except (UserError, ValueError) as error:
        raise UserError(error) from error
    except Exception as error:  # a config is code: anything may come out of it
        told = f"{type(error).__name__}: {error}"
        raise UserError(f"--config: {name}: {told}") from error
    return config.lock()
