"""What methods have in common: the sections of the three kinds, each complete."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ml_collections import ConfigDict

LEARNED = dict(name="mlp", hidden=24)
UNREAD = dict(name="evenly_spaced")  # costs nothing: for gates that read no scores
_FIXED = ("evenly_spaced", "magnitude")  # scorers that have no parameters


def exact_budget(
    gate: Mapping[str, Any],
    *,
    scorer: Mapping[str, Any] = LEARNED,
    temperature_schedule: Mapping[str, Any] | None = None,
    gate_weight_decay: float = 0.05,
) -> ConfigDict:
    """A gate with a density, trained at random densities: one model for any budget."""
    return _method(
        gate,
        scorer=scorer,
        temperature_schedule=temperature_schedule,
        gate_weight_decay=gate_weight_decay,
        density_sampling=dict(
            name="log_uniform",
            low=0.1,  # lowest density that a step draws
            high=1.0,
            full=0.25,  # share of the steps that run at full density
        ),
    )


def target_density(
    gate: Mapping[str, Any],
    *,
    temperature_schedule: Mapping[str, Any] | None = None,
    gate_weight_decay: float = 0.05,
) -> ConfigDict:
    """A gate whose count varies with the input, penalised towards a density."""
    return _method(
        gate,
        temperature_schedule=temperature_schedule,
        gate_weight_decay=gate_weight_decay,
        penalties=dict(
            target_rate=dict(
                target=0.5,  # mean fraction of open units, per gated layer
                weight=2.0,  # multiplies (mean open_prob - target)^2
            )
        ),
    )


def own_density(
    gate: Mapping[str, Any], *, scorer: Mapping[str, Any] = LEARNED
) -> ConfigDict:
    """A gate whose own keys set its density: neither sampled nor penalised."""
    return _method(gate, scorer=scorer)


def _method(
    gate: Mapping[str, Any],
    *,
    scorer: Mapping[str, Any] = LEARNED,
    temperature_schedule: Mapping[str, Any] | None = None,
    gate_weight_decay: float = 0.05,
    density_sampling: Mapping[str, Any] | None = None,
    penalties: Mapping[str, Any] = MappingProxyType({}),
) -> ConfigDict:
    sections = dict(
        gate=gate,
        scorer=scorer,
        temperature_schedule=temperature_schedule,
        density_sampling=density_sampling,
        penalties=penalties,  # by their files in budgets/penalties
        budget_constraint=None,
        budget_sharing=None,
        density_ramp=None,
        distillation=None,
        gate_optimizer=None
        if scorer["name"] in _FIXED
        else dict(  # of the parameters of gates and scorers
            learning_rate_scale=1.0,  # times the learning rate of the others
            weight_decay=gate_weight_decay,
        ),
    )
    config = ConfigDict(
        {
            name: None if section is None else ConfigDict(dict(section))
            for name, section in sections.items()
        }
    )
    if density_sampling is None:  # no gate of these has a density to evaluate at
        config.evaluation = ConfigDict(dict(densities=(), budgets=()))
    return config
