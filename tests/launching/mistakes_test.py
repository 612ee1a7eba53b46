"""Mistakes in a command: one line that names the value, and status 2."""

import pytest

import dynsparse
from dynsparse import training
from dynsparse.launching import main
from tests.launching.commands import CONFIG, ROOT, command

MISTAKES = [
    (
        ["--config.budget={'name': 'fixed', 'density': 1.5}"],
        "budget: fixed: density must be in [0, 1], got 1.5",
    ),
    (
        ["--config.gate={'name': 'hard_topk', 'density': 0.5}"],
        "gate: the density is the budget's; accepted: budget.density",
    ),
    (["--config.gate.name=softtopk"], "unknown name 'softtopk'; accepted: b"),
    (["--config.model.widht=9"], "--config.model.widht: no such key; accepted: depth,"),
    (
        ["--config.optimiser.a=9"],
        "--config.optimiser.a: no such key; accepted: budget,",
    ),
    (
        ["--config.budget.ramp.until=1"],
        "--config.budget.ramp.until: budget.ramp is None and has no keys",
    ),
    (["--config.evaluation.densities[9]=1"], "densities[9]: no such key; accepted: b"),
    (["--config.train.check_first_step=3"], "must be True or False, got '3'"),
    (["--config.train.num_steps"], "--config.train.num_steps needs a value: --config"),
    (["--config.budget.ramp=cubic"], "must be None or {'KEY': VALUE, ...}, got"),
    (
        ["--config.budget.ramp={'form': 'linear'}"],
        "budget.ramp needs the key 'start'",
    ),
    (["--config.data=None"], "--config.data: must be {'KEY': VALUE, ...}, got 'None'"),
    (["--config.train={}"], "train needs the key"),
    (
        ["--config.budget.penalties={'entropy': None}"],
        "budget.penalties.entropy must be a section",
    ),
    (["--config.train.num_steps=1j"], "must be an integer below 2^31, got '1j'"),
    (["--config.gate={'name': b'x'}"], "must be {'KEY': VALUE, ...}, got"),
    (["--config.evaluation.densities=('a',)"], "a number below 1e30"),
    (["--config.evaluation.densities=abc"], "must be a tuple"),
    (
        ["--config.seed=4294967296"],
        "--config.seed: must be an integer in [0, 2^32), got",
    ),
    (["--config.model.width=2147483648"], "width: must be an integer below 2^31"),
    (["--config.optimizer.clip_norm=nan"], "clip_norm: must be a number below 1e30"),
    (["--config.gate={'name': 'soft_topk', 'temperature': 1}"], "needs the key"),
    (
        ["--workdri=x"],
        "; see run --help; did you mean workdir?",
    ),
    (
        ["--seed=3"],
        "unknown flag '--seed=3'; see run --help; did you mean --config.s",
    ),
    (["--temprature=0.5"], "; did you mean --config.gate.temperature?"),
    (["--model.width", "9"], "; did you mean --config.model.width?"),
    (
        ["--weight_decay=0"],
        "mean --config.gate_optimizer.weight_decay or --config.optimizer.weight_decay?",
    ),
    (["--config.gate.nmae=x"], "did you mean name?"),
    (["--config.model.width=1.5"], "1.5"),
    (
        ["--config.evaluation.densities=(1.5,)"],
        "densities must be a tuple, each value in [0, 1]",
    ),
    (["--colour=red"], "colour"),
    (["train"], "unexpected argument 'train'"),
]


@pytest.mark.parametrize(
    ("flags", "message"), MISTAKES, ids=lambda case: str(case)[:40]
)
def test_a_mistake_is_one_line_and_status_2(flags, message, tmp_path, capsys):
    workdir = tmp_path / "run"
    assert main(command(workdir, *flags)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not workdir.exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("--config=configs/nothing.py", "no such Python file: 'configs/nothing.py'"),
        (f"{CONFIG}:softtopk", "unknown method 'softtopk'; accepted: b"),
        (f"{CONFIG}:gumbel_sigmod", "; did you mean gumbel_sigmoid?"),
        (f"{CONFIG}:soft_topk,vitt", "; did you mean vit?"),
        (f"{CONFIG}:soft_topk,,sandwhich", "; did you mean sandwich?"),
        ("--workdir=x", "--config is missing"),
    ],
)
def test_a_wrong_config_file_is_one_line_and_status_2(config, message, capsys):
    assert main(["run", config]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("gate", "config: missing: gate; accepted: seed, names, "),
        ("gate.name", "gate.name: no such key; accepted: family, "),
    ],
)
def test_a_config_that_lacks_a_part_is_one_line_and_status_2(
    gone, message, tmp_path, capsys
):
    config = tmp_path / f"without_{gone.replace('.', '_')}.py"
    config.write_text(
        "from dynsparse.configs.cluttered_digits import *\nwhole = get_config\n"
    )
    with config.open("a") as file:
        file.write("def get_config():\n    config = whole().unlock()\n")
        file.write(f"    del config.{gone}\n    return config\n")
    assert main(["run", f"--config={config}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1


def test_a_missing_image_file_is_one_line_and_status_2(tmp_path, capsys):
    config = f"--config={ROOT}/configs/npz_images.py"
    flags = ["--config.data.path=nowhere.npz", f"--workdir={tmp_path}/run"]
    assert main(["run", config, *flags]) == 2
    assert "no such file 'nowhere.npz'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["swep", "x"], "'swep'"),
        (["swep", "x"], "; did you mean sweep?"),
        (["sweep", "x", "--jbos=2"], "did you mean jobs?"),
        (
            ["sweep", "experiments/any_budget.py", "--num_steps=9"],
            "did you mean --config.train.num_steps?",
        ),
        (["sweep", "--jobs=0", "x"], "--jobs: must be an integer >= 1, got '0'"),
        (["sweep", "--limit=nan", "x"], "--limit: must be a number >= 1, got 'nan'"),
        (["serve"], "required: RUN_DIR"),
        (["compare", "runs/a"], "needs two folders of runs or more, got 1"),
    ],
)
def test_each_command_reads_its_flags_in_any_order(words, message, capsys):
    assert main([*words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.\nmore"),
        MemoryError("9 bytes"),
    ],
    ids=["of XLA", "of Python"],
)
def test_memory_that_does_not_suffice_is_one_line_and_status_2(
    error, tmp_path, capsys, monkeypatch
):
    def fail(*_):
        raise error

    monkeypatch.setattr(training, "train_together", fail)
    assert main(command(tmp_path)) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: out of memory: lower model, train or evaluation")
    assert "9 bytes" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], ("run", "sweep", "serve", "compare", "report", "--version")),
        (["--help"], ("run", "sweep", "serve", "compare", "report", "VERB --help")),
        (["run", "--help"], ("--workdir", "--dry_run", "fashion_mnist", "mac_target")),
        (["run", "--help"], ("gumbel_sigmoid", "Start here", "resnet", "sandwich")),
        (["sweep", "--help"], ("--jobs", "--slurm", "wall_clock", "show on the clock")),
        (["serve", "--help"], ("--load", "spike", "RUN_DIR", "--least_score")),
        (["compare", "--help"], ("RUN_DIR", "two folders")),
        (["report", "--help"], ("DIR", "--workdir")),
        (["prepare", "--help"], ("--data_dir", "PATH|hf", "movielens_small", "kriz")),
    ],
    ids=str,
)
def test_help_lists_what_there_is_to_choose_from(words, told, capsys):
    assert main(words) == 0
    printed = capsys.readouterr().out
    for word in told:
        assert word in printed
    assert max(map(len, printed.splitlines())) <= 88


def test_version_is_one_line(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"dynsparse {dynsparse.__version__}\n"
