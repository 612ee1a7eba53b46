"""Usages to test with."""

import jax.numpy as jnp
import numpy as np

from dynsparse.budgets import Usage
from dynsparse.gates import GateOutput


def decision(probabilities):
    """A decision of one pass, [batch, *rows, units], that opens what is likely."""
    probabilities = jnp.asarray(probabilities)[None]
    return GateOutput(jnp.round(probabilities), probabilities)


def usage(decisions, prices=None, floor=0.0, progress=1.0, examples=None):
    """Layers that share the cost evenly where no prices are given."""
    prices = prices or dict.fromkeys(decisions, (1 - floor) / len(decisions))
    line = lambda cost: (np.array([0.0, 1.0]), np.array([0.0, cost]))
    return Usage(
        decisions={name: decision(value) for name, value in decisions.items()},
        prices={name: line(cost) for name, cost in prices.items()},
        floor=floor,
        progress=progress,
        examples=None if examples is None else jnp.asarray(examples),
    )
