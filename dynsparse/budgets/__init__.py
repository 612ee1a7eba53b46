"""How much a model may open while it trains: densities, penalties and controllers."""

from dynsparse.budgets import controllers, penalties, sampling
from dynsparse.budgets.constraint import BudgetConstraint, check_target
from dynsparse.budgets.distillation import Distillation
from dynsparse.budgets.ramp import DensityRamp
from dynsparse.budgets.sampling import set_density
from dynsparse.budgets.usage import Usage

__all__ = [
    "BudgetConstraint",
    "DensityRamp",
    "Distillation",
    "Usage",
    "check_target",
    "controllers",
    "penalties",
    "sampling",
    "set_density",
]
