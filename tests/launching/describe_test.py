"""What a run says of itself before it starts, and a dry run instead."""

import numpy as np
import pytest

from dynsparse import training
from dynsparse.launching import main
from tests.launching.commands import CONFIG, command, parsed
from tests.training import tiny


def test_a_dry_run_says_what_would_be_run_and_writes_nothing(tmp_path, capsys):
    assert main(command(tmp_path / "run", "--dry_run")) == 0
    printed = capsys.readouterr().out
    for words in (
        "cluttered_digits, soft_topk, conv_vit, seed 0, on cpu",
        "per image dense",
        "densities 0.1 to 1: ",
        "128 training, 20 validation, 40 test images: call(float32[1, 28, 28, 1])",
        "6 of 16 images, 0.8 epochs; a checkpoint every 3",
        f"{tmp_path / 'run'}: checkpoints/",
    ):
        assert words in printed
    assert list(tmp_path.iterdir()) == []


def test_the_command_to_go_on_with_is_no_dry_run(tmp_path):
    request = parsed(["run", CONFIG, "--dry_run", "--workdir=x"])
    assert "dry_run" not in request.command


@pytest.mark.parametrize(
    ("argument", "budget"),
    [
        ("dense", "all of it: no gate closes anything"),
        ("soft_topk,,fixed", "density 0.5: "),
        ("gumbel_sigmoid", "penalised towards a density of 0.5"),
        ("gumbel_sigmoid,,mac_target", "penalised towards 0.5 of the dense MACs: "),
        ("gumbel_sigmoid,,pi_controller", "held at 0.5 of the dense MACs: "),
        ("gumbel_softmax", "what the gates decide, above "),
    ],
)
def test_every_kind_of_budget_has_its_words(argument, budget, tmp_path):
    experiment = tiny.prepared(argument)
    assert f"budget   {budget}" in training.describe(experiment, tmp_path, "a run")


def test_the_macs_of_a_density_are_those_of_the_bill(tmp_path):
    experiment = tiny.prepared("soft_topk,,fixed")
    told = training.describe(experiment, tmp_path, "a run")
    (part,) = experiment.prices.parts.values()
    half = experiment.prices.used({part.name: np.array([part.num_units // 2])})[0]
    assert f"density 0.5: {half / 1e6:.3f} M MACs" in told
