"""What an experiment adds."""

from dynsparse.launching.experiment import Sweep


def trials_of(module, size="full"):
    """The keyword values of its trials."""
    return Sweep(module, module.__name__, size).added()
