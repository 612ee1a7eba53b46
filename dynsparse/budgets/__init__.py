"""What a model may open while it trains: policies, penalties and controllers."""

from dynsparse.budgets import controllers, penalties, policies, sampling
from dynsparse.budgets.densities import (
    densities_at,
    density_map,
    find_shares,
    fix_densities,
    has_density,
    set_density,
)
from dynsparse.budgets.distillation import Distillation, softmax_kl
from dynsparse.budgets.norm_averages import averages_at
from dynsparse.budgets.policies import Policy
from dynsparse.budgets.ramp import Ramp
from dynsparse.budgets.shares import BudgetShares, shadow_prices
from dynsparse.budgets.targets import find_shift
from dynsparse.budgets.usage import Usage, as_evaluated

__all__ = [
    "BudgetShares",
    "Distillation",
    "Policy",
    "Ramp",
    "Usage",
    "as_evaluated",
    "averages_at",
    "controllers",
    "densities_at",
    "density_map",
    "find_shares",
    "find_shift",
    "fix_densities",
    "has_density",
    "penalties",
    "policies",
    "sampling",
    "set_density",
    "shadow_prices",
    "softmax_kl",
]
