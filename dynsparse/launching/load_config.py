"""A config from its file."""

import importlib.util
import pathlib

from ml_collections import ConfigDict

from dynsparse._internal.sections import check_sections
from dynsparse._internal.suggest import did_you_mean
from dynsparse.launching.errors import UserError


def load_config(asked: str) -> ConfigDict:
    """Returns the config of "FILE.py" or "FILE.py:ARGUMENT", complete and locked.

    Raises:
        UserError: If there is no such file, or it does not give a config.
    """
    name, colon, argument = asked.partition(":")
    path = pathlib.Path(name)
    if not path.is_file() or path.suffix != ".py":
        near = sorted(str(file) for file in path.parent.glob("[!_]*.py"))
        raise UserError(f"--config: no such file {name!r}{did_you_mean(name, near)}")
    spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    try:
        if spec is None or spec.loader is None:
            raise UserError("is no Python file")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        config = module.get_config(*([argument] if colon and argument else []))
        if not isinstance(config, ConfigDict):
            raise TypeError(f"get_config() gives a {type(config).__name__}")
        check_sections(config)
    except ValueError as error:
        raise UserError(_one_line(error)) from error
    except Exception as error:  # a config is code: anything may come out of it
        told = f"{type(error).__name__}: {_one_line(error)}"
        raise UserError(f"--config: {name}: {told}") from error
    return config.lock()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
