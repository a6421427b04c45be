"""Every experiment in the repository is a valid one."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orchestrator import cli

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = sorted((ROOT / "experiments").rglob("*.yaml"))


def validate(path: Path) -> Result:
    return CliRunner().invoke(cli.app, ["validate", str(path)])


def test_the_experiments_of_the_readme_exist():
    assert {"demo.yaml", "smoke.yaml"} <= {path.name for path in EXPERIMENTS}


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_experiment_is_valid(path: Path):
    done = validate(path)
    assert done.exit_code == 0, done.output


def test_a_broken_experiment_is_refused(tmp_path: Path):
    broken = tmp_path / "broken.yaml"
    broken.write_text((ROOT / "experiments" / "smoke.yaml").read_text() + "\nno_such_field: 1\n")
    done = validate(broken)
    assert done.exit_code == 2
    assert "no_such_field" in done.output
