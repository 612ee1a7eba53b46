"""The same as `python -m dynsparse`, from a checkout."""

from dynsparse.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main())
