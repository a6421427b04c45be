"""A very small experiment, and the ways in which tests run it: in this process, by the command line, in a child."""

import json
import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from orchestrator import cli, tracking
from orchestrator.backend import RunSettings
from orchestrator.plan import Plan, make_plan
from orchestrator.progress import PlainProgress
from orchestrator.records import CellRow
from orchestrator.spec import ExperimentSpec, loads
from orchestrator.sweep import SweepResult, run_sweep
from tests.orchestrator.mesh_bench import MeshBench

TREE = Path(__file__).parents[2]

# 60 runs: 2 searches of 10 candidates on 2 scenarios, 2 x 2 finalists on 2 scenarios, 3 Entries on 4 scenarios.
_SEARCH = {"evaluations": 10, "width": 4, "scenarios": 2, "finalists": 2, "seed": 1}
_TREE: dict[str, Any] = {
    "version": 1,
    "name": "tiny",
    "suite": {
        "name": "tiny_suite",
        "archetype": "ev_battery",
        "network": "loop",
        "seed": 7,
        "start": "2030-01",
        "warm_up": 12,
        "scored": 12,
        "epoch_months": 12,
        "splits": {
            "train": {"families": ["eu_baseline", "eu_delay"], "scenarios": 2},
            "validation": {"families": ["eu_baseline", "eu_delay"], "scenarios": 2},
            "test": {"families": ["eu_tighten", "eu_weaken"], "scenarios": 4},
        },
        "shortfall_price": {"cobalt": 150, "nickel": 40, "lithium": 120},
    },
    "reference": "reference",
    "entries": [
        {"name": "linear", "controller": "linear"},
        {"name": "reference", "controller": "compliance_base_stock", "search": {"method": "evolution", **_SEARCH}},
        {"name": "random", "controller": "schedule", "search": {"method": "random", **_SEARCH}},
    ],
    "statistics": {"resamples": 100, "confidence": 0.95, "seed": 1},
    "bound": {"scenarios": 0},
    "pairs": {"scenarios": 0},
}
CELLS = 60


class Bench:
    """Builds the tiny experiment and runs it. MLflow is left out, except through the command line."""

    cells = CELLS

    def tree(self, **suite: Any) -> dict[str, Any]:
        """Return the experiment as a tree that a test may change; `suite` replaces fields of the suite."""
        tree = deepcopy(_TREE)
        tree["suite"] |= suite
        return tree

    def spec(self, tree: dict[str, Any] | None = None) -> ExperimentSpec:
        return loads(json.dumps(tree or _TREE))

    def plan(self, tree: dict[str, Any] | None = None) -> Plan:
        return make_plan(self.spec(tree))

    def file(self, folder: Path, tree: dict[str, Any] | None = None) -> Path:
        """Write the experiment file and return its path."""
        path = folder / "tiny.yaml"
        path.write_text(json.dumps(tree or _TREE, indent=2), encoding="utf-8")  # JSON is YAML
        return path

    def run(
        self, results: Path, tree: dict[str, Any] | None = None, settings: RunSettings | None = None
    ) -> SweepResult:
        """Run the sweep in this process, without MLflow."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tracking, "flush", _no_mlflow)
            return run_sweep(
                self.spec(tree),
                results,
                settings=settings or RunSettings(in_process=True),
                progress=PlainProgress(),
            )

    def call(self, *arguments: str | Path) -> Result:
        """Call the command line in this process."""
        return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])

    def child(self, code: str, *arguments: str | Path, warnings: str = "error") -> "subprocess.Popen[str]":
        """Start a Python process with `code`; it sees `arguments` as sys.argv[1:]. Its own children warn alike."""
        return subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            cwd=TREE,
            env={**os.environ, "PYTHONPATH": str(TREE), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": warnings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def _no_mlflow(sweep: tracking.Sweep, *, uri: str, cursor: str | None) -> tracking.Flushed:
    return tracking.Flushed(link=None, experiment_id=None, cursor=cursor, message="")


class Finished:
    """A sweep that has ended, in a folder that tests only read."""

    def __init__(self, results: Path, result: SweepResult) -> None:
        self.results = results
        self.result = result


@pytest.fixture(scope="session")
def bench() -> Bench:
    """The tiny experiment and its runners."""
    return Bench()


@pytest.fixture(scope="session")
def mesh_bench() -> MeshBench:
    """A small experiment to be simulated over meshes, without law of its own."""
    return MeshBench()


@pytest.fixture(scope="session")
def injected_rows(mesh_bench: MeshBench) -> list[CellRow]:
    """Its rows with the bench's law injected before its window, by a gang of one."""
    return mesh_bench.meshed(1, law=4)


@pytest.fixture(scope="session")
def finished(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The tiny experiment, run undisturbed from an empty folder. Tests may read it or repeat it, not change it."""
    results = tmp_path_factory.mktemp("finished") / "results"
    return Finished(results, bench.run(results))


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What shards of this process simulate during the test, in order: (scenario, controller digest)."""
    from orchestrator.shard import Shard

    seen: list[tuple[str, str]] = []
    run = Shard.run

    def watched(self: Shard, block: Any) -> Any:
        seen.extend((cell.scenario, cell.controller.digest) for cell in block.cells)
        return run(self, block)

    monkeypatch.setattr(Shard, "run", watched)
    return seen
