"""The command line and the folder of a run; imports no jax."""

from dynsparse.launching.errors import UserError
from dynsparse.launching.request import Request, parse
from dynsparse.launching.workdir import check_config, claim, finished

__all__ = ["Request", "UserError", "check_config", "claim", "finished", "parse"]
