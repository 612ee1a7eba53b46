"""How much a model may open while it trains: densities, penalties and controllers."""

from dynsparse.budgets import controllers, penalties, sampling
from dynsparse.budgets.averages import averages_at
from dynsparse.budgets.constraint import BudgetConstraint, check_target
from dynsparse.budgets.densities import (
    densities_at,
    density_map,
    find_shares,
    fix_densities,
    has_density,
    set_density,
)
from dynsparse.budgets.distillation import Distillation
from dynsparse.budgets.ramp import DensityRamp
from dynsparse.budgets.sharing import BudgetShares, BudgetSharing
from dynsparse.budgets.usage import Usage

__all__ = [
    "BudgetConstraint",
    "BudgetShares",
    "BudgetSharing",
    "DensityRamp",
    "Distillation",
    "Usage",
    "averages_at",
    "check_target",
    "controllers",
    "densities_at",
    "find_shares",
    "fix_densities",
    "has_density",
    "penalties",
    "sampling",
    "set_density",
    "density_map",
]
