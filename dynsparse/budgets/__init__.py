"""How much a model may open while it trains: sampled densities and penalties."""

from dynsparse.budgets.penalties import DensityLoss, LoadBalanceLoss
from dynsparse.budgets.sampling import DensitySampling, set_density

__all__ = ["DensityLoss", "DensitySampling", "LoadBalanceLoss", "set_density"]
