"""A finished experiment costs nothing: no run is simulated, no heavy package imported, the answer stays the same."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

# Runs commands one after the other in one process in which the heavy packages can't be imported, and tells for each
# its exit code, its output and which of them it tried to import.
COMMANDS = """
import contextlib, io, json, sys
HEAVY = {"ray", "mlflow", "torch", "pyarrow", "pandas", "numba", "llvmlite"}
tried = []
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            tried.append(name)
            raise ImportError(f"{name} is refused")
        return None
sys.meta_path.insert(0, Refuse())
from orchestrator import cli
for command in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.app(command, prog_name="circularbench")
        except SystemExit as end:
            code = end.code or 0
    loaded = sorted(HEAVY & {name.partition(".")[0] for name in sys.modules})
    report = {"code": code, "out": out.getvalue(), "err": err.getvalue(), "tried": list(tried), "loaded": loaded}
    print(json.dumps(report))
    tried.clear()
"""


@pytest.fixture(scope="module")
def published(bench: Any, finished: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """A finished run with MLflow written: experiment file, results, and the JSON object that the run printed."""
    folder = tmp_path_factory.mktemp("published")
    spec, results = bench.file(folder), folder / "results"
    shutil.copytree(finished.results, results)
    run = bench.call("run", spec, "--in-process", "--results", results, "--json")
    assert run.exit_code == 0, run.output
    assert "MLflow not updated" not in run.stderr
    return spec, results, run.stdout


@pytest.fixture(scope="module")
def repeated(bench: Any, published: tuple[Path, Path, str]) -> dict[str, dict[str, Any]]:
    """What each command does on the finished results, in a process without the heavy packages."""
    spec, results, _ = published
    commands = {
        "validate": ["validate", str(spec)],
        "plan": ["plan", str(spec), "--results", str(results), "--json"],
        "leaderboard before": ["leaderboard", "--results", str(results), "--json"],
        "run": ["run", str(spec), "--results", str(results), "--json"],
        "run --workers": ["run", str(spec), "--results", str(results), "--workers", "2"],
        "leaderboard": ["leaderboard", str(spec), "--results", str(results), "--json"],
    }
    child = bench.child(COMMANDS, json.dumps(list(commands.values())))
    out, err = child.communicate()
    reports = [json.loads(line) for line in out.splitlines()]
    assert len(reports) == len(commands), err
    return dict(zip(commands, reports, strict=True))


def test_commands_on_finished_results_import_nothing_heavy(repeated: dict[str, dict[str, Any]]) -> None:
    for name, report in repeated.items():
        assert report["code"] == 0, (name, report["err"])
        assert report["tried"] == [] and report["loaded"] == [], name


def test_an_import_hidden_in_a_command_is_seen(bench: Any, tmp_path: Path) -> None:
    # The mutant of the check above: an experiment that has not run yet needs Ray, and says so.
    spec = bench.file(tmp_path)
    commands = [["run", str(spec), "--results", str(tmp_path / "results")]]
    out, _ = bench.child(COMMANDS, json.dumps(commands)).communicate()
    assert "ray" in json.loads(out)["tried"]


def test_running_again_simulates_nothing(
    bench: Any, finished: Any, published: tuple[Path, Path, str], repeated: dict[str, dict[str, Any]]
) -> None:
    first, again = json.loads(published[2]), json.loads(repeated["run"]["out"])
    assert again == {
        "digest": finished.result.digest,
        "cells": bench.cells,
        "simulated": 0,
        "reused": bench.cells,
        "failed": 0,
    }
    assert again["digest"] == first["digest"]
    assert f"{bench.cells} runs: 0 simulated, {bench.cells} reused, 0 failed" in repeated["run --workers"]["out"]


def test_the_leaderboard_stays_the_same_byte_for_byte(finished: Any, repeated: dict[str, dict[str, Any]]) -> None:
    before, after = repeated["leaderboard before"]["out"], repeated["leaderboard"]["out"]
    assert before == after
    assert json.loads(after) == json.loads(json.dumps(finished.result.leaderboard.to_json_with_timings()))


def test_the_plan_of_a_finished_run_is_done(repeated: dict[str, dict[str, Any]]) -> None:
    waves = json.loads(repeated["plan"]["out"])["waves"]
    assert all(wave["done"] == wave["cells"] and not wave["upper_bound"] for wave in waves)


def test_the_link_is_shown_again_without_mlflow(published: Any, repeated: dict[str, dict[str, Any]]) -> None:
    assert "workflowType=machine_learning" in repeated["run --workers"]["out"]
    assert "MLflow not updated" not in repeated["run --workers"]["out"]


def test_nothing_is_written_anew(bench: Any, published: tuple[Path, Path, str], repeated: Any) -> None:
    spec, results, _ = published
    stamps = {path: path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()}
    assert bench.call("run", spec, "--in-process", "--results", results).exit_code == 0
    after = {path: path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()}
    changed = [path.name for path, stamp in after.items() if stamps.get(path) != stamp]
    # The lease is taken and given back; that is all.
    assert set(changed) <= {"journal.sqlite"}
