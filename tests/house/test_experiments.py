"""Every experiment in the repository is a valid one."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = sorted((ROOT / "experiments").rglob("*.yaml"))


def validate(path: Path) -> subprocess.CompletedProcess[str]:
    program = "from orchestrator.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, "validate", str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_experiments_of_the_readme_exist():
    assert {"demo.yaml", "smoke.yaml"} <= {path.name for path in EXPERIMENTS}


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.name)
def test_an_experiment_is_valid(path: Path):
    done = validate(path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_broken_experiment_is_refused(tmp_path: Path):
    broken = tmp_path / "broken.yaml"
    broken.write_text((ROOT / "experiments" / "smoke.yaml").read_text() + "\nno_such_field: 1\n")
    done = validate(broken)
    assert done.returncode == 2
    assert "no_such_field" in done.stdout + done.stderr
