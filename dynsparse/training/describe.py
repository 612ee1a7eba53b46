"""Description of a run before it starts, in a few lines."""

import os

import jax

from dynsparse.budgets import density_map, has_density
from dynsparse.costs import budget_of
from dynsparse.gates import find_gates
from dynsparse.training.prepare import PreparedRun

_FILES = "checkpoints/, metrics.jsonl, curve.csv, curve.png, result.json, TensorBoard"


def describe(prepared: PreparedRun, workdir: str | os.PathLike[str], title: str) -> str:
    """Describes model, budget, data, steps and files of a run.

    >>> from dynsparse.configs import cluttered_digits
    >>> config = cluttered_digits.get_config("soft_topk")
    >>> config.data.num_train = config.data.num_validation = config.data.num_test = 64
    >>> run = training.prepare(config.to_dict())
    >>> print(training.describe(run, "runs/first", "digits"))
    run      digits, seed 0, on cpu
    model    ...

    Args:
        prepared: Run from `prepare`.
        workdir: Folder of the run.
        title: Names of data, method, model and budget.
    """
    device, plan = jax.devices()[0], prepared.settings.train
    on = device.platform if device.platform == "cpu" else device.device_kind
    devices = f"{plan.num_devices} x {on}" if plan.num_devices > 1 else on
    task, steps = prepared.task, plan.num_steps
    epochs = steps * plan.batch_size / len(task.train)
    sizes = [
        f"{len(split):,} {name}"
        for name, split in (
            ("training", task.train),
            ("validation", task.validation),
            ("test", task.test),
        )
    ]
    leaves = jax.tree.leaves(prepared.initial_state["params"])
    parameters = sum(leaf.size for leaf in leaves)
    dense = prepared.prices.dense
    return "\n".join(
        f"{name:<9}{text}"
        for name, text in (
            ("run", f"{title}, seed {prepared.settings.seed}, on {devices}"),
            (
                "model",
                f"{parameters:,} parameters, {_macs(dense)} per {task.noun} dense",
            ),
            ("budget", _budget(prepared)),
            (
                "data",
                f"{', '.join(sizes)} {task.noun}s: {task.example()}",
            ),
            (
                "steps",
                f"{steps:,} of {plan.batch_size} {task.noun}s, {epochs:.1f} epochs; a "
                f"checkpoint every {plan.checkpoint_every:,}",
            ),
            ("writes", f"{workdir}: {_FILES}"),
        )
    )


def _budget(prepared: PreparedRun) -> str:
    """What a step may spend, in words and MACs."""
    prices = prepared.prices
    model = prepared.trainer.model(prepared.initial_state)
    if all(gate.count == "full" for gate in find_gates(model).values()):
        return "all of it: no gate closes anything"
    of = lambda fraction: _macs(fraction * prices.dense)
    at = lambda density: of(budget_of(prices, density, density_map(model)))
    told = prepared.settings.budget.words(at if has_density(model) else None, of)
    return told or f"what the gates decide, above {_macs(prices.floor)}"


def _macs(number: int | float) -> str:
    scale, unit = (1e9, "G") if number >= 1e9 else (1e6, "M")
    return f"{number / scale:.3f} {unit} MACs"
