"""What an experiment adds."""

from dynsparse.launching.sweep import Experiment


def trials_of(module, size="full"):
    """The keyword values of its trials."""
    return Experiment(module, module.__name__).asked(size)
