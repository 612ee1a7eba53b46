"""Usages to test with."""

import jax.numpy as jnp

from dynsparse.budgets import Usage
from dynsparse.gates import GateOutput


def decision(probabilities):
    """A decision of one pass, [batch, *rows, units], that opens what is likely."""
    probabilities = jnp.asarray(probabilities)[None]
    return GateOutput(jnp.round(probabilities), probabilities)


def usage(decisions, prices=None, floor=0.0, progress=1.0, examples=None):
    """Layers that share the cost evenly where no prices are given."""
    share = (1 - floor) / len(decisions)
    return Usage(
        decisions={name: decision(value) for name, value in decisions.items()},
        prices=prices or dict.fromkeys(decisions, share),
        floor=floor,
        progress=progress,
        examples=None if examples is None else jnp.asarray(examples),
    )
