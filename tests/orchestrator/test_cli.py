"""The command line's contracts: exit codes, what goes to stdout, what the tables say.

The sweep itself is replaced by a stand-in; the real one is exercised in the sweep's and the cluster's tests.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from orchestrator import cli, jobs
from sim_core.errors import InfrastructureError, RunError, SpecError

DIGEST = "d" * 64
ENTRIES = [
    {
        "name": "evolution [x2]",
        "rank": 1,
        "score": None,
        "cost": 12_345_678.0,
        "cost_diff": -1_500_000.0,
        "cost_diff_lo": -2_000_000.0,
        "cost_diff_hi": -1_000_000.0,
        "carbon": 9_876.0,
        "circularity": 0.54321,
        "compliance": 0.985,
        "n": 64,
    },
    {
        "name": "linear",
        "rank": 2,
        "score": None,
        "cost": 20_000_000.0,
        "cost_diff": None,
        "cost_diff_lo": None,
        "cost_diff_hi": None,
        "carbon": 20_000.0,
        "circularity": 0.1,
        "compliance": None,
        "n": 64,
    },
]
PLAN = {
    "digest": DIGEST,
    "waves": [
        {"name": "search", "cells": 4_096, "done": 12, "upper_bound": False},
        {"name": "choose", "cells": 96, "done": 0, "upper_bound": True},
        {"name": "score", "cells": 320, "done": 0, "upper_bound": True},
    ],
    "instruments": [
        {
            "id": "eu-rc-co",
            "name": "cobalt [2031]",
            "binds": True,
            "source": "2023/1542 Art. 8",
            "verification": "checked",
        },
        {"id": "eu-cbam", "name": "border adjustment", "binds": False, "source": "2023/956", "verification": "low"},
    ],
    "mesh": "4x1 over Ray (a window takes a shard about 70 ms)",
}


@dataclass
class Stage:
    """The stand-ins of one test and what they were called with."""

    folder: Path
    entries: list[dict[str, Any]] = field(default_factory=lambda: list(ENTRIES))
    failed: int = 0
    error: BaseException | None = None
    calls: list[Any] = field(default_factory=list)

    @property
    def spec(self) -> str:
        return str(self.folder / "spec.yaml")

    def load(self, path: Path) -> SimpleNamespace:
        if "broken" in path.read_text(encoding="utf-8"):
            raise SpecError("spec.yaml:1:1: broken: no such field\nspec.yaml:2:1: horizont: did you mean horizon?")
        return SimpleNamespace(
            name="demo",
            suite=SimpleNamespace(name="eu-ev"),
            entries=(1, 2, 3),
            to_yaml=lambda: "name: demo\n",
            check_model=lambda: ["no ranking"],
        )

    def run_sweep(self, spec: Any, results: Path, *, settings: Any, progress: Any) -> SimpleNamespace:
        self.calls.append((results, settings))
        if self.error is not None:
            raise self.error
        progress.wave("score", 2)
        progress.advance(2)
        progress.note("a note from the sweep")
        print_counts = {"cells": 10, "simulated": 7, "reused": 3, "failed": self.failed}
        return SimpleNamespace(
            digest=DIGEST,
            **print_counts,
            leaderboard=self.read_leaderboard(results),
            report=results / "report.html",
            mlflow_link="http://127.0.0.1:5000/#/experiments/1?workflowType=machine_learning",
            mlflow_message="MLflow: circularbench mlflow --results " + str(results),
        )

    def read_leaderboard(self, results: Path, spec: Any = None) -> SimpleNamespace:
        self.calls.append(results)
        return SimpleNamespace(to_json_with_timings=lambda: {"digest": DIGEST, "entries": self.entries})

    def describe(self, spec: Any, results: Path) -> dict[str, Any]:
        self.calls.append(results)
        return PLAN


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Put the stand-ins where the commands import from."""
    made = Stage(tmp_path)
    (tmp_path / "spec.yaml").write_text("name: demo\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    parts: dict[str, dict[str, Any]] = {
        "spec": {"load": made.load},
        "backend": {"RunSettings": SimpleNamespace},
        "outcome": {"describe": made.describe, "read_leaderboard": made.read_leaderboard},
        "sweep": {"run_sweep": made.run_sweep},
        "tracking_store": {
            "server_command": lambda results, *, port: SimpleNamespace(
                argv=("/bin/mlflow", str(results), str(port)), environment={"A": "b"}, url=f"http://127.0.0.1:{port}"
            )
        },
    }
    for name, members in parts.items():
        module = ModuleType(f"orchestrator.{name}")
        module.__dict__.update(members)
        monkeypatch.setitem(sys.modules, f"orchestrator.{name}", module)
    return made


def call(*arguments: str) -> Result:
    """Call the command line as a user would."""
    return CliRunner().invoke(cli.app, list(arguments))


def test_validate_says_ok_and_names_what_it_read(stage: Stage) -> None:
    result = call("validate", stage.spec)
    assert result.exit_code == 0
    assert result.stdout.startswith("ok: ") and "eu-ev" in result.stdout
    assert result.stderr == "note: no ranking\n"


def test_every_spec_error_is_shown_and_the_exit_code_is_2(stage: Stage) -> None:
    Path(stage.spec).write_text("broken\n", encoding="utf-8")
    for command in (["validate"], ["plan"], ["run"], ["leaderboard"]):
        result = call(*command, stage.spec)
        assert result.exit_code == 2, command
        assert "spec.yaml:1:1" in result.stderr and "did you mean horizon?" in result.stderr
        assert "Traceback" not in result.output
        assert result.stdout == ""


def test_plan_shows_bounds_and_what_binds(stage: Stage) -> None:
    result = call("plan", stage.spec)
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert " 4,096 " in lines["search"] and "<=" not in lines["search"]
    assert "<= 96" in lines["choose"] and "<= 320" in lines["score"]
    assert "cobalt [2031]" in lines["eu-rc-co"] and "yes" in lines["eu-rc-co"]
    assert "no" in lines["eu-cbam"].split()


def test_plan_json_is_the_described_plan(stage: Stage) -> None:
    result = call("plan", stage.spec, "--json")
    assert json.loads(result.stdout.splitlines()[-1]) == PLAN


def test_run_prints_the_leaderboard_and_where_to_look_further(stage: Stage) -> None:
    result = call("run", stage.spec)
    assert result.exit_code == 0
    assert "evolution [x2]" in result.stdout
    assert "12.346" in result.stdout and "-1.500 [-2.000, -1.000]" in result.stdout
    assert "9.88" in result.stdout and "98.5" in result.stdout
    assert "report.html" in result.stdout and "workflowType=machine_learning" in result.stdout
    assert stage.calls[0][0] == Path("results/eu-ev")
    # stderr is no terminal here: notes yes, bars no.
    assert result.stderr == "a note from the sweep\n"


def test_run_json_ends_stdout_with_one_object_and_keeps_people_on_stderr(stage: Stage, tmp_path: Path) -> None:
    result = call("run", stage.spec, "--json", "--results", str(tmp_path / "out"), "--workers", "2")
    assert json.loads(result.stdout) == {"digest": DIGEST, "cells": 10, "simulated": 7, "reused": 3, "failed": 0}
    assert result.stdout.count("\n") == 1
    assert "Leaderboard" in result.stderr
    results, settings = stage.calls[0]
    assert results == tmp_path / "out"
    assert (settings.workers, settings.in_process, settings.address) == (2, False, None)


def test_failed_runs_end_in_1_with_the_leaderboard_printed(stage: Stage) -> None:
    stage.failed = 2
    result = call("run", stage.spec)
    assert result.exit_code == 1
    assert "2 failed" in result.stdout and "evolution" in result.stdout


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (RunError("3 runs failed"), 1, "3 runs failed"),
        (InfrastructureError("the disk is full"), 3, "the disk is full"),
        (KeyboardInterrupt(), 130, "repeat the command to resume"),
    ],
)
def test_errors_raised_on_purpose_have_a_code_a_message_and_no_traceback(
    stage: Stage, error: BaseException, code: int, words: str
) -> None:
    stage.error = error
    result = call("run", stage.spec)
    assert result.exit_code == code
    assert words in result.stderr
    assert "Traceback" not in result.output


def test_an_unexpected_error_shows_its_traceback_and_ends_in_3(stage: Stage) -> None:
    stage.error = ZeroDivisionError("by zero")
    result = call("run", stage.spec)
    assert result.exit_code == 3
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: unexpected ZeroDivisionError: by zero")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "absent.yaml"],
        ["run", "spec.yaml", "--workers", "0"],
        ["run", "spec.yaml", "--in-process", "--workers", "2"],
        ["leaderboard"],
        ["leaderboard", "--results", "absent"],
        ["frobnicate"],
    ],
)
def test_wrong_usage_ends_in_2(stage: Stage, arguments: list[str]) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output and result.stderr


def test_leaderboard_needs_only_the_results(stage: Stage, tmp_path: Path) -> None:
    result = call("leaderboard", "--results", str(tmp_path), "--json")
    assert json.loads(result.stdout.splitlines()[-1]) == {"digest": DIGEST, "entries": ENTRIES}
    assert stage.calls == [tmp_path]
    assert "evolution" in call("leaderboard", "--results", str(tmp_path)).stdout


def test_an_empty_leaderboard_says_what_to_do(stage: Stage, tmp_path: Path) -> None:
    stage.entries = []
    result = call("leaderboard", "--results", str(tmp_path))
    assert result.exit_code == 0
    assert "circularbench run" in result.stdout


def test_an_undefined_number_is_a_dash(stage: Stage, tmp_path: Path) -> None:
    result = call("leaderboard", "--results", str(tmp_path))
    row = next(line for line in result.stdout.splitlines() if "linear" in line)
    assert row.split().count("-") == 2  # the difference and the compliance


def test_mlflow_becomes_the_server(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("os.execve", lambda *given: seen.append(given))
    result = call("mlflow", "--results", str(tmp_path), "--port", "5050")
    assert result.exit_code == 0 and "http://127.0.0.1:5050" in result.stderr
    assert seen == [("/bin/mlflow", ("/bin/mlflow", str(tmp_path), "5050"), {"A": "b"})]


def test_version() -> None:
    assert call("--version").stdout.startswith("circularbench ")


class TestSubmit:
    """`submit`, with a stand-in for the cluster."""

    @pytest.fixture(autouse=True)
    def cluster(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ended = jobs.Outcome(status="SUCCEEDED", exit_code=0, message="", result={"digest": DIGEST, "failed": 0})
        self.sent: dict[str, Any] = {}

        def send(client: Any, text: str, **named: Any) -> jobs.Submission:
            self.sent = {"text": text, **named}
            return jobs.Submission(job="circularbench-abc-1", attached=False)

        def wait(client: Any, job: str, *, echo: Any, timeout: float | None) -> jobs.Outcome:
            echo("log line\n")
            return self.ended

        monkeypatch.setattr(jobs, "connect", lambda address: object())
        monkeypatch.setattr(jobs, "submit", send)
        monkeypatch.setattr(jobs, "wait", wait)
        monkeypatch.setenv("RAY_AUTH_TOKEN", "not-shown")

    def submit(self, stage: Stage, *more: str) -> Result:
        return call("submit", stage.spec, "--address", "http://127.0.0.1:8265", "--results", "/shared/out", *more)

    def test_without_wait_it_only_names_the_job(self, stage: Stage) -> None:
        result = self.submit(stage, "--json")
        assert result.exit_code == 0
        assert json.loads(result.stdout) == {"job": "circularbench-abc-1", "attached": False}
        assert self.sent["text"] == "name: demo\n" and self.sent["python"] == sys.executable

    def test_wait_passes_on_the_log_and_the_result(self, stage: Stage) -> None:
        result = self.submit(stage, "--wait", "--json")
        assert result.exit_code == 0
        assert json.loads(result.stdout)["digest"] == DIGEST
        assert "log line" in result.stderr
        assert "not-shown" not in result.output

    @pytest.mark.parametrize("code", [1, 2, 3])
    def test_wait_leaves_with_the_jobs_exit_code(self, stage: Stage, code: int) -> None:
        self.ended = jobs.Outcome(status="FAILED", exit_code=code, message="it broke", result=None)
        result = self.submit(stage, "--wait")
        assert result.exit_code == code
        assert "it broke" in result.stderr

    def test_a_bad_spec_never_reaches_the_cluster(self, stage: Stage) -> None:
        Path(stage.spec).write_text("broken\n", encoding="utf-8")
        assert self.submit(stage).exit_code == 2
        assert self.sent == {}


def test_the_command_line_loads_nothing_heavy() -> None:
    heavy = ["ray", "mlflow", "torch", "pyarrow", "pydantic", "scipy", "numpy", "yaml", "orchestrator.sweep"]
    code = f"import sys, orchestrator.cli; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
