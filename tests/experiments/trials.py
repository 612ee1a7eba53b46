"""What an experiment adds."""

from dynsparse.launching.sweep import ExperimentFile


def trials_of(module, size="full"):
    """The keyword values of its trials."""
    return ExperimentFile(module, module.__name__).asked(size)
