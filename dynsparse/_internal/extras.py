"""Which extra of this library installs a missing module."""


def not_installed(error: ModuleNotFoundError) -> str:
    """The command that installs a missing module of another library, on one line.

    Raises:
        ModuleNotFoundError: If a module of this library is missing.
    """
    module = (error.name or "dynsparse").partition(".")[0]
    if module == "dynsparse":
        raise error
    extra = {"psutil": "serve", "datasets": "hf"}.get(module, "train")
    return f'{module} is not installed: pip install "dynsparse[{extra}]"'
