"""No key of a method is idle: another value makes another run, or is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.interpreters import partial_eval

import configs
from dynsparse import training
from dynsparse.training.evaluation.forward import compile_forward
from tests.training import tiny

METHODS = sorted(configs.METHODS)
BUDGETED = [
    f"gumbel_sigmoid,,{name}"
    for name in ("mac_target", "usage_l1", "batch_shaping", "pi_controller")
]
BUDGETED += [
    f"soft_topk,,{name}" for name in ("fixed", "uniform", "sandwich", "shared")
]
# Sections that a method or a budget sets.
OWN = ("gate", "scorer", "gate_optimizer", "budget", "temperature_schedule")
LATER = {"budget.calibrate"}  # decides on what follows the last step
WORDS = dict(family="laplace")


def full(arguments):
    return [pytest.param(each, marks=pytest.mark.full) for each in arguments]


def keys_of(config):
    """Dotted keys of a config with their values; names choose what has the others."""
    found = []
    for section in OWN:
        stack = [(section, config[section])]
        while stack:
            key, value = stack.pop()
            if isinstance(value, dict):
                stack += [(f"{key}.{name}", inner) for name, inner in value.items()]
            elif value is not None and not key.endswith(".name"):
                found.append((key, value))
    return sorted(found)


def others(key, value):
    """Values to put in the place of one, until one is accepted."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, str):
        return [WORDS[key.rpartition(".")[2]]]
    if isinstance(value, int):
        return [value + 1, value - 1]
    return [value / 2, value + 0.25] if value else [0.25, 1.0]


def fingerprint(config):
    """All that the numbers of a run follow from.

    That is the code of its steps and of its evaluation, and of their arrays those that
    a metric or an answer depends on, now or after some steps.
    """
    experiment = training.prepare(config)
    state, batch = experiment.initial_state, experiment.batches[0]
    batch = jax.tree.map(jnp.asarray, batch)
    key = jax.random.key_data(state["key"])  # whose numbers can be compared
    forward, density = compile_forward(experiment.trainer), experiment.densities[-1]
    whole = lambda state: state | dict(key=jax.random.wrap_key_data(state["key"]))

    def step(state):
        after, metrics = experiment.trainer.step(whole(state), batch)
        return after | dict(key=state["key"]), metrics

    def answer(state):
        return forward(state, batch, jax.random.key(0), density)

    state = state | dict(key=key)
    leaves = jax.tree.leaves(state)
    stepped, answered = (jax.make_jaxpr(f)(state) for f in (step, answer))
    wanted = [True] * len(answered.out_avals)
    answers, read = partial_eval.dce_jaxpr(answered.jaxpr, wanted)
    metrics = [True] * (len(stepped.out_avals) - len(leaves))
    while True:
        steps, used = partial_eval.dce_jaxpr(stepped.jaxpr, [*read, *metrics])
        both = [a or b for a, b in zip(read, used, strict=True)]
        if both == read:
            break
        read = both
    arrays = [leaf for leaf, reads in zip(leaves, read, strict=True) if reads]
    arrays += [*stepped.consts, *answered.consts]
    numbers = [np.asarray(array).tobytes() for array in arrays]
    prices = experiment.prices
    return str(steps), str(answers), numbers, prices.dense, prices.floor


def idle_keys(argument, **changes):
    """Keys of which another value is accepted, and changes nothing."""
    config = tiny.config(argument, **changes)
    before, idle = fingerprint(config), []
    for key, value in keys_of(config):
        if key in LATER:
            continue
        for other in others(key, value):
            *path, last = key.split(".")
            changed = section = jax.tree.map(lambda x: x, config)
            for name in path:
                section = section[name]
            section[last] = other
            try:
                after = fingerprint(changed)
            except ValueError:
                continue  # refused
            if after == before:
                idle.append(key)
            break
    return idle


@pytest.mark.parametrize("argument", ["dense", *full([*METHODS, *BUDGETED])])
def test_no_key_is_idle(argument):
    assert idle_keys(argument) == []
