"""The command line and the folder of a run; imports no jax."""

from dynsparse.launching.compare import asks_to_compare, parse_compare
from dynsparse.launching.console import make_console
from dynsparse.launching.errors import MISTAKE, UserError, is_too_large, too_large
from dynsparse.launching.hush import hush_libraries
from dynsparse.launching.memory import keep_freed_memory
from dynsparse.launching.request import Request, parse
from dynsparse.launching.serve import (
    ServeRequest,
    asks_to_serve,
    parse_serve,
    serve_folder,
)
from dynsparse.launching.workdir import check_config, claim

__all__ = [
    "MISTAKE",
    "Request",
    "ServeRequest",
    "UserError",
    "asks_to_compare",
    "asks_to_serve",
    "check_config",
    "claim",
    "hush_libraries",
    "is_too_large",
    "keep_freed_memory",
    "make_console",
    "parse",
    "parse_compare",
    "parse_serve",
    "serve_folder",
    "too_large",
]
