"""The command line, and the folders of runs and sweeps."""

from dynsparse.launching.arguments import UserError
from dynsparse.launching.main import main

__all__ = ["UserError", "main"]
