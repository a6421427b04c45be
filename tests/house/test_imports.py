"""Who may import whom: at run time, where importlib.import_module("ray") can't hide, and by the linter's contracts."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("sim_core", "optimizers", "orchestrator")
FOREIGN = ("matplotlib", "mlflow", "pandas", "pyarrow", "pydantic", "ray", "rich", "torch", "typer", "yaml")

# A finder that refuses is the same as sys.modules[name] = None, but for SciPy, which looks there for torch.
WALK = f"""
import importlib, pkgutil, sys

class Refuse:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {FOREIGN!r}:
            raise ImportError(f"{{name}} is refused")

sys.meta_path.insert(0, Refuse)
for package in ("sim_core", "optimizers"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        print(importlib.import_module(module.name).__name__)
"""


def python(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # PYTHONPATH comes before the installed project, so that a changed copy is what gets imported.
    environment = {"PYTHONPATH": str(root), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def copied_tree(target: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", target)
    return target


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    command = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    return python(root, "-c", command, "--no-cache", "--no-logo")


def test_the_pure_packages_import_with_nothing_foreign_installed():
    done = python(ROOT, "-c", WALK)
    assert done.returncode == 0, done.stderr
    assert {"sim_core.errors", "sim_core.seeding", "optimizers.contract"} <= set(done.stdout.split())


def test_an_import_that_hides_from_the_linter_fails_the_walk(tmp_path: Path):
    root = copied_tree(tmp_path)
    (root / "sim_core" / "mutant.py").write_text('import importlib\n\nimportlib.import_module("ray")\n')
    done = python(root, "-c", WALK)
    assert done.returncode != 0
    assert "ray is refused" in done.stderr


@pytest.mark.parametrize(
    ("where", "line", "contract"),
    [
        ("sim_core/mutant.py", "import ray", "sim_core and optimizers are pure"),
        ("sim_core/mutant.py", "import optimizers", "Imports go down only: orchestrator, optimizers, sim_core"),
        ("orchestrator/records.py", "import ray", "Ray has named doors"),
        ("orchestrator/records.py", "import mlflow", "MLflow has one door"),
        ("orchestrator/records.py", "import yaml", "YAML has one door"),
        ("orchestrator/scenarios_view.py", "import matplotlib", "Matplotlib has one door"),
        ("sim_core/engine/mutant.py", "import numba", "Numba has one door"),
        ("sim_core/bound/model.py", "import highspy", "HiGHS has one door"),
        ("optimizers/umda.py", "import cmaes", "CMA-ES has one door"),
        ("optimizers/foreign.py", "import optuna", "Optional search packages are loaded by name only"),
        ("orchestrator/plan.py", "import sim_core.kernel.jit", "The kernel is loaded where cells are simulated"),
        ("orchestrator/records.py", "import orchestrator.spec", "The orchestrator's modules follow the data"),
        ("orchestrator/mutant.py", "import math", "The orchestrator's modules follow the data"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(tmp_path: Path, where: str, line: str, contract: str):
    root = copied_tree(tmp_path)
    with (root / where).open("a") as file:
        file.write(f"\n{line}\n")
    done = lint(root)
    assert done.returncode != 0
    assert f"{contract} BROKEN" in done.stdout, done.stdout + done.stderr


def test_the_command_starts_without_the_heavy_libraries():
    heavy = ("highspy", "matplotlib", "mlflow", "numba", "pyarrow", "ray", "torch")
    program = f"import sys, orchestrator.cli; print(sorted(set(sys.modules) & set({heavy})))"
    done = python(ROOT, "-c", program)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
