"""Everything by command line alone: what is shipped, and what a user brings along."""

import json

import pytest
from flax import nnx

from configs import BUDGETS
from dynsparse import testing, training
from dynsparse.launching import main
from dynsparse.tasks import images
from tests.launching import own
from tests.launching.commands import CONFIG, parsed, sweep_of
from tests.training import tiny

OWN = "tests.launching.own"
SMALL = [flag for flag in tiny.FLAGS if not flag.startswith("--config.evaluation.d")]
SMALL = [flag for flag in SMALL if not flag.startswith("--config.evaluation.bud")]
OWN_GATE = json.dumps({"name": f"{OWN}:Banded", "level": 0.5, "slope": 2.0})
OWN_RULES = {"body/blocks/*/mlp": {"granularity": "neurons", "num_blocks": 4}}
OWN_MODEL = json.dumps({"name": f"{OWN}:narrow", "halvings": 2, "rules": OWN_RULES})
OWN_DATA = json.dumps({"name": f"{OWN}:halves", "num": 48, "side": 14})
RATE = {"target_rate": {"target": 0.3, "weight": 1.0}}
OWN_POLICY = json.dumps({"name": f"{OWN}:Sleepy", "slack": 0.1, "penalties": RATE})
RAMP = json.dumps({"form": "cubic", "start": 0.1, "until": 0.5})
VARYING = [
    name for name, row in BUDGETS.items() if row.policy in ("penalised", "constrained")
]
TOPK = [name for name in BUDGETS if name not in VARYING]


def prepared(argument, *flags, small=SMALL):
    """The run that a command asks for, ready to train."""
    words = ["run", f"{CONFIG}:{argument}", *small, *flags, "--workdir=x"]
    return training.prepare(parsed(words).config)


@pytest.mark.parametrize("name", VARYING)
def test_every_controller_and_penalty_is_a_word(name):
    policy = prepared(f"gumbel_sigmoid,,{name}").settings.budget
    kinds = [type(p).__name__ for p in policy.penalties]
    if BUDGETS[name].policy == "constrained":
        kinds = [type(policy.controller).__name__]
    called = "".join(part.capitalize() for part in name.split("_"))
    assert called in kinds or name == "free"


@pytest.mark.parametrize("name", TOPK)
def test_every_sampling_is_a_word(name):
    flags = tiny.FLAGS if name != "fixed" else SMALL
    policy = prepared(f"soft_topk,,{name}", small=flags).settings.budget
    assert type(policy).__name__.lower() == BUDGETS[name].policy


@pytest.mark.parametrize(
    ("argument", "key", "value", "found"),
    [
        ("soft_topk,,fixed", "ramp", RAMP, lambda budget: budget.ramp.form == "cubic"),
        (
            "gumbel_sigmoid,,pi_controller",
            "ramp",
            RAMP,
            lambda budget: budget.ramp.start == 0.1,
        ),
        (
            "soft_topk,,sandwich",
            "distillation.features",
            0.25,
            lambda budget: budget.distillation.features == 0.25,
        ),
        (
            "gumbel_sigmoid,,free",
            "penalties",
            json.dumps(RATE),
            lambda budget: budget.penalties[0].target == 0.3,
        ),
    ],
)
def test_every_key_of_a_budget_is_a_flag(argument, key, value, found):
    budget = prepared(argument, f"--config.budget.{key}={value}").settings.budget
    assert found(budget)


def test_ones_own_gate_model_dataset_and_policy_train_by_one_command(tmp_path):
    flags = [
        flag for flag in SMALL if not flag.startswith(("--config.data", "--config.m"))
    ]
    words = ["run", f"{CONFIG}:gumbel_sigmoid", *flags, f"--workdir={tmp_path / 'run'}"]
    words += [f"--config.gate={OWN_GATE}", f"--config.model={OWN_MODEL}"]
    words += [f"--config.data={OWN_DATA}", f"--config.budget={OWN_POLICY}"]
    assert main(words) == 0
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["gate"] == json.loads(OWN_GATE)
    assert config["budget"]["slack"] == 0.1
    assert (tmp_path / "run/curve.png").exists()


def test_what_one_brings_along_keeps_the_contracts(as_users_call):
    testing.check_gate(own.Banded(level=0.5, slope=2.0, rngs=nnx.Rngs(0)))
    for gating in (dict(granularity="neurons"), dict(rules=OWN_RULES)):
        testing.check_model(f"{OWN}:narrow", halvings=2, **gating)
    testing.check_task(images.make(own.halves(num=8, side=14)))


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ('--config.gate={"name": "tests.launching.own:Bandit"}', "cannot load"),
        (f"--config.gate={OWN_GATE.replace('slope', 'slop')}", "did you mean slope?"),
        (f"--config.model={OWN_MODEL.replace('halvings', 'halving')}", "has no key"),
        (f"--config.data={OWN_DATA.replace('48', '-')}", "--config.data: must be"),
        (f"--config.budget={OWN_POLICY.replace('0.1', 'true')}", "slack must be"),
    ],
)
def test_a_mistake_in_what_one_brings_along_is_one_line(flag, told, tmp_path, capsys):
    words = ["run", f"{CONFIG}:gumbel_sigmoid", *SMALL, f"--workdir={tmp_path / 'run'}"]
    assert main([*words, flag]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


EXPERIMENT = '''"""Is it mine?

Claim: it is. What would refute it: another.
"""

from dynsparse.reports import Report


def sweep(add, size):
    add(config="cluttered_digits:hard_topk", method="hard_topk", seed=0)


def report(rows):
    return Report(rows, list(rows[0]))
'''


@pytest.mark.parametrize("place", [".", "elsewhere"])
def test_an_experiment_of_ones_own_is_a_file_anywhere(
    place, tmp_path, monkeypatch, capsys
):
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / f"mine_{place.strip('.')}.py"
    file.write_text(EXPERIMENT)
    monkeypatch.chdir(tmp_path / place)
    assert main(["sweep", f"{file}:full", "--config.model.width=24", "--dry_run"]) == 0
    assert "1 trials of" in capsys.readouterr().out


def test_shipped_names_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parsed(["run", "--config=cluttered_digits:static,mixer"]).config
    assert parsed(["run", "--config=configs/cluttered_digits.py"]).config
    for name in ("any_budget", "experiments/any_budget.py"):
        assert sweep_of(name).name == "any_budget"
