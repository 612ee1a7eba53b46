"""`python -m dynsparse`, also installed as the command `dynsparse`."""

import os
import sys

from dynsparse._internal.extras import not_installed


def main() -> int:
    """Does what the command line asks; returns the exit status."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where the user's own modules are
    try:
        from dynsparse.launching import main
    except ModuleNotFoundError as error:
        sys.exit(f"error: {not_installed(error)}")
    return main()


if __name__ == "__main__":
    sys.exit(main())
