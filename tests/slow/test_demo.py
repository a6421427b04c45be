"""The demo's promises: searches that win, and a second run that costs nothing."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SEARCHED = ("quantum", "evolution")

pytestmark = pytest.mark.slow


def command(*arguments: str) -> Any:
    """Run the command on the demo; return the last line's object."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *arguments, "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    results = tmp_path_factory.mktemp("demo")
    return results, command("run", str(ROOT / "experiments/demo.yaml"), "--results", str(results))


def test_each_search_beats_the_reference_and_random_search(demo: tuple[Path, Any]) -> None:
    results, _ = demo
    entries = {entry["name"]: entry for entry in command("leaderboard", "--results", str(results))["entries"]}
    assert len(entries) >= 5
    for name in SEARCHED:
        assert entries[name]["cost_diff_hi"] < 0.0
        assert entries[name]["random_diff_hi"] < 0.0
    assert entries["reference"]["compliance"] > entries["linear"]["compliance"]


def test_a_second_run_simulates_nothing_in_five_cpu_seconds(demo: tuple[Path, Any]) -> None:
    results, first = demo
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    again = command("run", str(ROOT / "experiments/demo.yaml"), "--results", str(results))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (again["simulated"], again["digest"]) == (0, first["digest"])
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime <= 5.0
