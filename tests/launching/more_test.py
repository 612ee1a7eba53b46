"""A run that is one point names the command that draws its curve, and it runs."""

import pytest

from dynsparse.launching import UserError, main
from dynsparse.launching.main import parse
from dynsparse.launching.run import another_point, read_request
from tests.launching.commands import CONFIG, parsed, sweep_of, typed


def more(argument, *flags):
    values = parse(["run", f"{CONFIG}:{argument}", *flags, "--workdir=x"])
    return another_point(read_request(values).config, values)


@pytest.mark.parametrize(
    "flag", ["evaluation={}", "evaluation=3", "gate={}", "budget.leak=half"]
)
def test_values_that_are_wrong_are_told_before_anything_is_made_of_them(
    flag, tmp_path, capsys
):
    words = [f"{CONFIG}:static,,pi_controller", f"--config.{flag}"]
    assert main(["run", *words, f"--workdir={tmp_path / 'run'}"]) == 2
    error = capsys.readouterr().err
    assert flag.partition("=")[0].split(".")[-1] in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("method", ["soft_topk", "hard_topk", "dense", "sparsemax"])
def test_nothing_is_said_where_no_other_point_can_be_asked_for(method):
    assert more(method) is None


@pytest.mark.parametrize(
    "argument", ["hard_concrete", "reinmax,vit", "reinmax,,mac_target"]
)
def test_the_command_sweeps_this_method_and_this_model_over_targets(argument):
    flags = ["--config.train.num_steps", "60", "--config.seed=3"]
    if "mac_target" in argument:
        flags += ["--config.budget.penalties.mac_target.weight=2"]
    said, _, command = more(argument, *flags).partition(":  ")
    assert "a sweep over targets draws it" in said
    trials = sweep_of(*typed(command)[1:]).trials()
    method, model, *_ = [*argument.split(","), ""]
    targets = set()
    for trial in trials:
        names = trial.config["names"]
        assert trial.config["train"]["num_steps"] == 60
        assert names["model"] == (model or "conv_vit")
        if names["method"] != "dense":
            assert (names["method"], names["budget"]) == (method, "pi_controller")
            targets.add(trial.config["budget"]["target"])
    assert len(targets) > 3


def test_the_command_asks_a_gate_with_a_density_of_its_own_for_another():
    said, _, command = more("random_bernoulli", "--config.seed=3").partition(":  ")
    config = parsed(typed(command)).config
    assert (config["budget"]["density"], config["seed"]) == (0.25, 3)
    assert said == "one point of a curve; another"


def test_an_experiment_that_takes_no_method_says_so():
    other = "--config=cluttered_digits:soft_topk"
    assert sweep_of("targets", other).words == [other]
    with pytest.raises(UserError, match="each trial of .* its own method"):
        sweep_of("any_budget", other)
