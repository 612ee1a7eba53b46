"""Single values of a config, as a command or an experiment changes them."""

import re
from collections.abc import Sequence

from absl import flags
from ml_collections import ConfigDict, config_flags

from dynsparse.launching import naming
from dynsparse.launching.command_line import flag_of, read
from dynsparse.launching.errors import UserError


def override(config: ConfigDict, argv: Sequence[str]) -> ConfigDict:
    """Returns the config with the values of `--config.KEY=VALUE`.

    Args:
        config: To change.
        argv: As in `sys.argv`, with no other flags.

    Raises:
        UserError: If a flag, a key or a value is not accepted.
    """
    for word in argv[1:]:
        name = flag_of(word) or ""
        if key := re.fullmatch(r"(?:no)?config\.(.*)", name):
            check_key(config, key[1], f"--{name}")
    values = flags.FlagValues()
    config_flags.DEFINE_config_dict(
        "config", config, "", flag_values=values, sys_argv=list(argv)
    )
    before = naming.section_names(config)
    read(values, argv)
    naming.rename(values.config, before)
    return values.config


def check_key(config: ConfigDict, key: str, called: str):
    """Refuses a key that a config does not have.

    Args:
        config: Of nested sections.
        key: Dotted.
        called: Names the key in the error.

    Raises:
        UserError: With the keys that its section has.
    """
    section, names = config, key.partition("[")[0].split(".")
    for depth, name in enumerate(names):
        if not isinstance(section, ConfigDict):
            before = ".".join(names[:depth])
            raise UserError(f"{called}: {before} is {section!r} and has no keys")
        if name not in section:
            raise UserError(f"{called}: no such key; accepted: {', '.join(section)}")
        section = section[name]
