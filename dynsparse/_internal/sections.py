"""Names of the sections of a config, and the check that all are there."""

from typing import Any

from dynsparse._internal.suggest import did_you_mean

# Those that a config may set to None.
OPTIONAL = ("gate_optimizer", "temperature_schedule")
SECTIONS = ("seed", "names", "data", "task", "model", "gate", "scorer", "budget")
SECTIONS += ("optimizer", "train", "evaluation", *OPTIONAL)


def check_sections(config: Any):
    """Refuses other sections than `SECTIONS`, fewer, and what is no section.

    Args:
        config: Its sections hold keys, but for the seed, or are None where they may.

    Raises:
        ValueError: With those that are missing or unknown, and all that are accepted.
    """
    found = list(config)
    wrong = dict(
        missing=[name for name in SECTIONS if name not in found],
        unknown=[name for name in found if name not in SECTIONS],
    )
    if any(wrong.values()):
        listed = "; ".join(
            f"{kind}: {', '.join(names)}" for kind, names in wrong.items() if names
        )
        meant = "".join(did_you_mean(name, SECTIONS) for name in wrong["unknown"])
        raise ValueError(f"config: {listed}; accepted: {', '.join(SECTIONS)}{meant}")
    for name, section in config.items():
        if name == "seed" or (section is None and name in OPTIONAL):
            continue
        if not hasattr(section, "keys"):
            kind = "None or a section" if name in OPTIONAL else "a section"
            raise ValueError(f"{name} must be {kind} of keys, got {section!r}.")
