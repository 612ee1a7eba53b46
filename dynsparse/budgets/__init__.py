"""How much a model may open while it trains: sampled densities and penalties."""

from dynsparse.budgets.penalties import DensityLoss
from dynsparse.budgets.sampling import DensitySampling, set_density

__all__ = ["DensityLoss", "DensitySampling", "set_density"]
