"""Every key of every shipped config is read by a run."""

import ast
import pathlib

import pytest
from flax import nnx
from ml_collections import ConfigDict

import configs
from configs import cluttered_digits, fashion_mnist, npz_images
from dynsparse import budgets, gates, training
from dynsparse.training.prepare import gate_section
from dynsparse.training.step import Trainer
from tests.sampled import sampled
from tests.training import tiny
from tests.training.methods_test import FORMS

METHODS = sorted(configs.METHODS)
DENSE = ("fixed", "uniform", "sandwich", "shared")  # of gates with a density
OTHERS = [f"soft_topk,,{name}" for name in DENSE]
CALIBRATED = [
    f"gumbel_sigmoid,,{row.name}"
    for row in configs.BUDGETS.values()
    if row.policy in ("penalised", "constrained")
]


POLICIES = ("Policy", "Fixed", "Any", "Penalised", "Constrained", "Shared")


class Recording(dict):
    """A section that notes which of its keys are asked for."""

    def __init__(self, values, prefix=""):
        self.read = set()
        self.prefix = prefix
        super().__init__(
            {
                key: Recording(value, f"{prefix}{key}.")
                if isinstance(value, dict)
                else value
                for key, value in values.items()
            }
        )

    def __getitem__(self, key):
        self.read.add(key)
        return super().__getitem__(key)

    def __iter__(self):  # a look is no reading; its presence makes dict() ask keys()
        return super().__iter__()

    def keys(self):  # dict(section), which hands every key to a checked constructor
        self.read.update(super().keys())
        return super().keys()

    def unread(self):
        for key, value in super().items():
            if key not in self.read:
                yield self.prefix + key
            elif isinstance(value, Recording):
                yield from value.unread()


def test_the_record_tells_read_from_unread():
    record = Recording(dict(a=1, b=dict(c=2, d=3), e=dict(f=4)))
    assert record["b"]["c"] == 2
    assert sorted(record.unread()) == ["a", "b.d", "e"]


# All budgets are read in the same way, but for the section of their policy.
USUAL = (*FORMS, *OTHERS, "gumbel_sigmoid,,mac_target", "gumbel_sigmoid,,pi_controller")


@pytest.mark.parametrize("argument", sampled([*METHODS, *OTHERS, *CALIBRATED], USUAL))
def test_no_key_of_a_run_is_unread(argument):
    config = Recording(tiny.config(argument))
    training.prepare(config)
    assert list(config.unread()) == ["names"]  # words, which change nothing


def test_every_setting_that_is_read_is_used():
    """Constructors take their keys by name; each name must then be used."""
    unused = []
    sources = [path.read_text() for path in pathlib.Path("dynsparse").rglob("*.py")]
    text = " ".join(sources)
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef) and node.name.endswith(
                ("Settings", "Ramp", "Distillation", "Schedule", *POLICIES)
            ):
                fields = [n for n in node.body if isinstance(n, ast.AnnAssign)]
                unused += [
                    f"{node.name}.{field.target.id}"
                    for field in fields
                    if f".{field.target.id}" not in text
                ]
    assert unused == []


@pytest.mark.parametrize("module", [cluttered_digits, npz_images, fashion_mnist])
@pytest.mark.parametrize("method", METHODS)
def test_every_task_takes_every_method_and_is_locked(module, method):
    config = module.get_config(method)
    assert isinstance(config, ConfigDict)
    assert config.is_locked
    assert method in (config.gate.name, config.scorer.name)
    policy = budgets.policies.from_config(config.budget)
    keys = gate_section(config.gate, policy)
    gates.from_config(keys, rngs=nnx.Rngs(0, gate=1))  # refuses other keys


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("softtopk", "unknown method 'softtopk'; accepted: b.*dense"),
        ("soft_topk,vgg", "unknown model 'vgg'; accepted: conv_vit, .*resnet"),
        (
            "soft_topk,,cheap",
            "unknown budget 'cheap'; accepted: batch_shaping, .*mac_target, .*sandwich",
        ),
        ("soft_topk,vit,sandwich,x", "expected METHOD,MODEL,BUDGET, got"),
    ],
)
def test_an_unknown_method_or_model_is_named(argument, message):
    with pytest.raises(ValueError, match=message):
        cluttered_digits.get_config(argument)


def test_the_trainer_is_told_what_the_config_says():
    trainer = training.prepare(tiny.config("gumbel_sigmoid")).trainer
    assert isinstance(trainer, Trainer)
    (penalty,) = trainer.settings.budget.penalties
    assert (penalty.target, penalty.weight) == (0.5, 2.0)
