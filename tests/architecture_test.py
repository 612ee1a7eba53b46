"""The structure of the tree: imports, lengths of files, and what they may not say."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted(
    path
    for folder in ("dynsparse", "configs", "experiments")
    for path in (ROOT / folder).rglob("*.py")
) + [ROOT / "launch.py"]
TESTS = sorted((ROOT / "tests").rglob("*.py"))

# What each part may import of the library, beside itself and `_internal`.
ALLOWED = {
    "_internal": set(),
    "ops": set(),
    "gates": {"ops"},
    "layers": {"ops", "gates", "costs"},
    "models": {"ops", "gates", "layers", "costs"},
    "costs": {"ops", "gates"},
    "budgets": {"ops", "gates"},
    "data": set(),
    "tasks": {"data", "budgets", "reports"},
    "training": {
        "ops",
        "gates",
        "layers",
        "models",
        "costs",
        "budgets",
        "data",
        "tasks",
        "reports",
    },
    "serving": {"ops", "gates", "costs", "budgets"},
    "bench": {"serving", "data", "tasks", "reports"},
    "testing": {"ops", "gates", "layers", "models", "data", "tasks"},
    "reports": set(),
    "launching": {"reports", "bench", "training", "data"},
}


def name(path):
    return str(path.relative_to(ROOT))


def imported(path):
    """Modules that a file imports, wherever it does, type checking included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def allowed(module, part):
    inside = module.removeprefix("dynsparse.")
    candidates = ALLOWED[part] | {part, "_internal"}
    return any(inside == c or inside.startswith(f"{c}.") for c in candidates)


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_imports_run_one_way(part):
    files = [p for p in FILES if p.relative_to(ROOT).parts[:2] == ("dynsparse", part)]
    assert files
    for path in files:
        for module in imported(path):
            if module == "dynsparse" or not module.startswith("dynsparse."):
                continue
            assert allowed(module, part), f"{name(path)} imports {module}"


def test_no_part_but_layers_imports_a_gate_by_its_file():
    """What others need of gates, `dynsparse.gates` exports."""
    folder = ROOT / "dynsparse/gates"
    methods = {f"dynsparse.gates.{path.stem}" for path in folder.glob("[!_]*")}

    def offends(path):
        layer = (ROOT / "dynsparse/layers") in path.parents
        closed = {"dynsparse.gates.base"} if layer else methods
        return any(f"{m}.".startswith(f"{c}.") for m in imported(path) for c in closed)

    assert offenders(set(FILES) - set(folder.rglob("*.py")), offends) == []


def test_every_part_has_its_rule():
    parts = {p.name for p in (ROOT / "dynsparse").iterdir() if p.is_dir()}
    assert parts - {"__pycache__"} <= set(ALLOWED)


def offenders(files, offends):
    """Names of the files that break a rule: none may."""
    return [name(path) for path in files if offends(path)]


def test_no_file_exceeds_300_lines():
    length = lambda path: len(path.read_text().splitlines())
    assert offenders([*FILES, *TESTS], lambda path: length(path) > 300) == []


def test_the_training_loop_stays_under_150_lines():
    loop = ROOT / "dynsparse/training/loop.py"
    assert len(loop.read_text().splitlines()) < 150


def test_nothing_reads_a_config_with_a_default():
    assert offenders(FILES, lambda path: "config.get(" in path.read_text()) == []


def test_no_file_is_a_drawer():
    drawers = {"utils", "helpers", "misc", "common"}
    assert offenders(FILES, lambda path: path.stem in drawers) == []


def test_no_private_module_of_another_library_is_imported():
    private = lambda path: any("._src" in module for module in imported(path))
    assert offenders(FILES, private) == []


def test_configs_import_only_ml_collections():
    """And each other by `from . import`: a wheel has them as `dynsparse.configs`."""
    allowed_roots = {"", "ml_collections"} | sys.stdlib_module_names
    foreign = lambda path: {m.partition(".")[0] for m in imported(path)} - allowed_roots
    assert offenders((ROOT / "configs").rglob("*.py"), foreign) == []


def test_nothing_imports_what_a_wheel_does_not_install():
    """Not `configs` or `experiments`, which are `dynsparse.configs` and the like."""
    roots = {"configs", "experiments", "tests", "launch"}
    absent = lambda path: {m.partition(".")[0] for m in imported(path)} & roots
    assert offenders(FILES, absent) == []


@pytest.mark.system
def test_the_launcher_initialises_no_backend():
    """Importing jax is allowed; its devices are left to the processes of runs."""
    code = (
        "import importlib, pkgutil, sys\n"
        "for name in ('launching', 'reports', 'experiments'):\n"
        "    package = importlib.import_module(f'dynsparse.{name}')\n"
        "    front = f'{package.__name__}.'\n"
        "    for found in pkgutil.walk_packages(package.__path__, front):\n"
        "        importlib.import_module(found.name)\n"
        "from dynsparse.launching import main\n"
        "main(['run', '--help']), main(['run', '--config=nothing.py'])\n"
        "main(['sweep', 'any_budget', '--dry_run'])\n"
        "from jax._src import xla_bridge\n"
        "sys.exit(xla_bridge.backends_are_initialized())\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
