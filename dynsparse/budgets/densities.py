"""The densities of a model's gates: one for all layers, or learned shares of it.

`density` is the cost-weighted mean over all gated layers, in [0, 1]. Without
`BudgetShares` every layer has it.
"""

import functools
from collections.abc import Callable, Mapping

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse._internal.paths import path_name, split_layer, stands_inside
from dynsparse.budgets.shares import BudgetShares
from dynsparse.gates import Density, TopkGate, find_gates


def set_density(
    model: nnx.Module,
    density: Float[Array, ""],
    density_offsets: Mapping[str, Float[Array, ""]] | None = None,
):
    """Sets every `Density` of `model`, if it has any, in place.

    >>> keys = dict(name="hard_topk", density=1.0)
    >>> gate = gates.from_config(keys, rngs=nnx.Rngs(0))
    >>> budgets.set_density(gate, jnp.float32(0.25))
    >>> float(gate.density[...])
    0.25

    Args:
        model: In masked execution.
        density: Of the whole model, in [0, 1].
        density_offsets: Added to the density of each layer, to differentiate by it.
    """
    shares, layers = find_shares(model), _gated(model)
    found = dict.fromkeys(layers, density) if shares is None else shares(density)
    for path, node in nnx.iter_graph(model):
        if isinstance(node, Density):
            names = _layers_of(path_name(path), layers)
            own = [found.get(name, density) for name in names]
            if density_offsets:
                pairs = zip(own, names, strict=True)
                own = [each + density_offsets[name] for each, name in pairs]
            node[...] = own[0] if len(own) == 1 else jnp.stack(own)


def density_map(model: nnx.Module) -> Callable[[float], dict[str, float]] | None:
    """What `costs.largest_density` asks for: None where layers share one density.

    >>> budgets.density_map(nnx.Linear(2, 2, rngs=nnx.Rngs(0))) is None
    True

    Args:
        model: Its `BudgetShares`, if it has any, divide a density between layers.
    """
    if find_shares(model) is None:
        return None
    return functools.partial(densities_at, model)


def densities_at(model: nnx.Module, density: float) -> dict[str, float]:
    """The density of each layer with a top-k gate, by layer: plain numbers.

    >>> budgets.densities_at(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), 0.5)
    {}

    Args:
        model: With parameters that are no tracers.
        density: Of the whole model, in [0, 1].
    """
    shares = find_shares(model)
    if shares is None:
        return dict.fromkeys(_gated(model), density)
    return {name: float(d) for name, d in shares(jnp.float32(density)).items()}


def fix_densities(model: nnx.Module, densities: Mapping[str, float]):
    """Views `model` with static densities, as compact execution needs them.

    >>> gate = dict(name="hard_topk", density=1.0)
    >>> mlp = layers.Mlp.create(width=4, hidden=8, rngs=nnx.Rngs(0))
    >>> own = dict(granularity="width", num_slices=4, rngs=nnx.Rngs(0, gate=1))
    >>> model = layers.gated(mlp, gate=gate, **own)
    >>> budgets.fix_densities(model, {"": 0.25}).gate.static_density
    0.25

    Args:
        model: It shares its arrays with what is returned.
        densities: From `densities_at`.

    Raises:
        ValueError: If layers of a stack, which run one program, have several.
    """
    of_modules: dict[str, float] = {}
    for name, density in densities.items():
        module, _ = split_layer(name)
        if of_modules.setdefault(module, density) != density:
            raise ValueError(
                f"{name} has density {density}, another layer of its scan "
                f"{of_modules[module]}: in compact execution they run one program, at "
                f"one density."
            )
    for name, density in sorted(of_modules.items(), key=lambda item: len(item[0])):
        # Outer layers first: what is inside of them has densities of its own.
        within = lambda path, _, name=name: _inside(path_name(path), name)
        model = nnx.view(model, only=within, density=density)
    return model


def has_density(model: nnx.Module) -> bool:
    """Whether a gate of the model has a density to choose.

    >>> budgets.has_density(nnx.Linear(2, 2, rngs=nnx.Rngs(0)))
    False

    Args:
        model: With or without gated layers.
    """
    return bool(_gated(model))


def find_shares(model: nnx.Module) -> BudgetShares | None:
    """What divides the budget of the model, if anything does.

    >>> budgets.find_shares(nnx.Linear(2, 2, rngs=nnx.Rngs(0))) is None
    True

    Args:
        model: Whose attribute `budget_shares` is looked at.
    """
    own = getattr(model, "budget_shares", None)
    return own if isinstance(own, BudgetShares) else None


def _gated(model: nnx.Module) -> list[str]:
    """The layers with a top-k gate."""
    gates = find_gates(model).items()
    return [name for name, gate in gates if isinstance(gate, TopkGate)]


def _layers_of(path: str, layers: list[str]) -> list[str]:
    """The innermost of `layers` that hold `path`: several where they are a stack."""
    modules = {name: split_layer(name)[0] for name in layers}
    around = (module for module in modules.values() if _inside(path, module))
    innermost = max(around, key=len, default=None)
    return [name for name in layers if modules[name] == innermost] or [""]


def _inside(path: str, layer: str) -> bool:
    return path == layer or stands_inside(path, layer)
