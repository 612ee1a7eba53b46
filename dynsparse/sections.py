"""The sections that a config has."""

from collections.abc import Iterable

SECTIONS = (
    "seed",
    "names",
    "data",
    "model",
    "gate",
    "scorer",
    "optimizer",
    "gate_optimizer",
    "train",
    "evaluation",
    "penalties",
    "budget_constraint",
    "budget_sharing",
    "density_sampling",
    "density_ramp",
    "distillation",
    "temperature_schedule",
)


def check_sections(names: Iterable[str]):
    """Refuses other sections than `SECTIONS`, and fewer.

    Args:
        names: The top-level keys of a config.

    Raises:
        ValueError: With those that are missing or unknown, and all that are accepted.
    """
    found = list(names)
    wrong = dict(
        missing=[name for name in SECTIONS if name not in found],
        unknown=[name for name in found if name not in SECTIONS],
    )
    if any(wrong.values()):
        listed = "; ".join(
            f"{kind}: {', '.join(names)}" for kind, names in wrong.items() if names
        )
        raise ValueError(f"config: {listed}; accepted: {', '.join(SECTIONS)}")
