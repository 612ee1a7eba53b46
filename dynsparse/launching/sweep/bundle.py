"""Trials that one process runs as one program."""

from collections.abc import Sequence

from dynsparse._internal.program_key import program_key
from dynsparse.launching.sweep.trial import Trial

Bundle = tuple[Trial, ...]


def bundles(trials: Sequence[Trial], most: int) -> list[Bundle]:
    """Puts trials together whose runs can be one program, each in one bundle.

    Args:
        trials: To divide; one that is measured stays alone.
        most: Trials of a bundle, at least 1.

    Returns:
        The bundles, in the order of their first trials.
    """
    filling: dict[str, list[Trial]] = {}
    found: list[list[Trial]] = []
    for trial in trials:
        key = trial.name if trial.config is None else program_key(trial.config)
        if key not in filling or len(filling[key]) == most:
            filling[key] = []
            found.append(filling[key])
        filling[key].append(trial)
    return [tuple(bundle) for bundle in found]
