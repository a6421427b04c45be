"""What goes wrong in a sweep: failures that stop nothing, faults that stop all."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator import backend
from orchestrator import shard as shards
from orchestrator.backend import InProcessBackend
from orchestrator.journal import Journal
from orchestrator.outcome import JOURNAL, read_leaderboard
from sim_core.control import ControllerRecord
from sim_core.errors import BalanceError, InputError
from sim_core.kernel import simulation as kernel
from tests.orchestrator.test_sweep import stop_at

# ------------------------------------------------------------------------------------------------ failed runs


def fail_where(patch: pytest.MonkeyPatch, wanted: Callable[[str], bool], error: type[Exception]) -> None:
    """Let simulations raise when one of their cells (its label: scenario under kind) is wanted."""
    simulation = kernel.KernelSimulation

    def fragile(layout: Any, scenarios: Any, rows: Any, controller: Any, labels: list[str], **options: Any) -> Any:
        bad = [label for label in labels if wanted(label)]
        if bad:
            raise error(f"{bad[0].partition(' (')[0]}: made to fail")
        return simulation(layout, scenarios, rows, controller, labels, **options)

    patch.setattr(kernel, "KernelSimulation", fragile)


def test_a_failed_run_is_one_row_and_exit_code_1_and_the_rest_goes_on(
    bench: Any, finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.tracking.flush", no_flush)
    fail_where(monkeypatch, lambda label: label.startswith("eu_weaken/0 under linear"), ValueError)
    spec, results = bench.file(tmp_path), tmp_path / "results"
    run = bench.call("run", spec, "--in-process", "--results", results, "--json")
    assert run.exit_code == 1, run.output
    counts = json.loads(run.stdout)
    assert counts["failed"] == 1 and counts["cells"] == counts["simulated"] == bench.cells
    rows = {row.name: row for row in read_leaderboard(results).rows}
    assert (rows["linear"].failed, rows["linear"].n, rows["linear"].rank) == (1, 3, 3)
    whole = {row.name: row for row in finished.result.leaderboard.rows}
    for name in ("reference", "random"):
        assert rows[name].failed == 0 and rows[name].cost == whole[name].cost
    # A deterministic failure is a result: it isn't tried again, and stays a failure.
    again = bench.call("run", spec, "--in-process", "--results", results, "--json")
    assert again.exit_code == 1
    assert json.loads(again.stdout) == counts | {"simulated": 0, "reused": bench.cells}


def no_flush(sweep: Any, *, uri: str, cursor: str | None) -> Any:
    from orchestrator.tracking import Flushed

    return Flushed(link=None, experiment_id=None, cursor=cursor, message="")


def test_a_failed_run_says_what_failed(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_where(monkeypatch, lambda label: label.startswith("eu_weaken/0 under linear"), ValueError)
    bench.run(tmp_path)
    plan = bench.plan()
    with Journal(tmp_path / JOURNAL, read_only=True) as journal:
        rows = journal.cells(cell.key for cell in plan.score_cells(plan.fixed["linear"]))
    messages = {row.scenario: row.message for row in rows.values() if row.status == "failed"}
    assert messages == {"eu_weaken/0": "ValueError: eu_weaken/0 under linear: made to fail"}


def test_an_entry_whose_every_run_fails_stops_nothing(
    bench: Any, finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_where(monkeypatch, lambda label: " under linear" in label, ValueError)
    result = bench.run(tmp_path)
    assert result.failed == 4
    assert [row.name for row in result.leaderboard.rows][-1] == "linear"
    assert [row.cost for row in result.leaderboard.rows][-1] is None


class Bounded(InProcessBackend):
    """Ends the test instead of the searches, should one go on for ever."""

    def searches(self, jobs: Any, known: Any, on_generation: Any) -> None:
        told: list[Any] = []

        def count(generation: Any) -> None:
            told.append(generation)
            assert len(told) < 50, "a search does not end"
            on_generation(generation)

        super().searches(jobs, known, count)


def test_a_search_that_finds_nothing_that_works_stops_nothing(
    bench: Any, finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "InProcessBackend", Bounded)
    fail_where(monkeypatch, lambda label: " under schedule" in label, ValueError)
    result = bench.run(tmp_path)
    rows = {row.name: row for row in result.leaderboard.rows}
    assert rows["random"].failed == result.failed >= 4 and rows["random"].rank == 3
    whole = {row.name: row for row in finished.result.leaderboard.rows}
    assert rows["reference"].cost == whole["reference"].cost


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), -0.2, 1.5], ids=str)
@pytest.mark.parametrize("where", ["targets", "levers"])
def test_a_controller_that_returns_nonsense_is_failed_rows_and_nothing_more(
    bench: Any, finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nonsense: float, where: str
) -> None:
    tree = bench.tree()
    reference = {"name": "reference", "controller": "compliance_base_stock", "parameters": {"plant_cover": 0.4}}
    tree["entries"] = [tree["entries"][0], reference]
    spoil(monkeypatch, where, nonsense)
    result = bench.run(tmp_path, tree)
    rows = {row.name: row for row in result.leaderboard.rows}
    assert (rows["linear"].failed, rows["reference"].failed) == (4, 0)


def spoil(patch: pytest.MonkeyPatch, where: str, value: float) -> None:
    """Let every `linear` set a nonsensical control, in a batch with others too."""
    from dataclasses import replace

    build = shards.build

    class Spoiled:
        def __init__(self, inner: Any, columns: list[int]) -> None:
            self.inner, self.columns = inner, columns

        def decide(self, observation: Any) -> Any:
            control = self.inner.decide(observation)
            changed = np.array(getattr(control, where), dtype=np.float64)
            changed = np.repeat(changed[..., None], len(self.columns), axis=-1) if changed.ndim < 2 else changed
            changed[..., self.columns] = value
            return replace(control, **{where: changed})

    def spoiled(layout: Any, records: Sequence[ControllerRecord]) -> Any:
        columns = [i for i, record in enumerate(records) if record.kind == "linear"]
        inner = build(layout, records)
        return Spoiled(inner, columns) if columns else inner

    patch.setattr(shards, "build", spoiled)


def test_running_out_of_memory_is_no_result(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_where(monkeypatch, lambda label: label.startswith("eu_weaken/0 under linear"), MemoryError)
    with pytest.raises(MemoryError):
        bench.run(tmp_path)
    plan = bench.plan()
    with Journal(tmp_path / JOURNAL, read_only=True) as journal:
        assert not journal.cells(cell.key for cell in plan.score_cells(plan.fixed["linear"]))


# ------------------------------------------------------------------------------------------------ what stops a sweep


def test_a_broken_balance_stops_everything_with_exit_code_3_and_the_run_can_be_resumed(
    bench: Any, finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, results = bench.file(tmp_path), tmp_path / "results"
    with monkeypatch.context() as patch:
        fail_where(patch, lambda label: label.startswith("eu_weaken/0 under linear"), BalanceError)
        run = bench.call("run", spec, "--in-process", "--results", results, "--json")
    assert run.exit_code == 3
    assert run.stderr.startswith("error: eu_weaken/0 under linear") and "Traceback" not in run.output
    assert run.stdout == "" and not (results / "report.html").exists()
    with pytest.raises(InputError, match="run the experiment again"):
        read_leaderboard(results)
    resumed = bench.run(results)
    assert (resumed.simulated, resumed.digest) == (12, finished.result.digest)


def test_an_interrupted_run_exits_130_and_resumes(
    bench: Any, finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, results = bench.file(tmp_path), tmp_path / "results"
    with monkeypatch.context() as patch:
        stop_at(patch, 4)
        run = bench.call("run", spec, "--in-process", "--results", results)
    assert run.exit_code == 130 and "repeat the command to resume" in run.stderr
    resumed = bench.run(results)
    assert resumed.digest == finished.result.digest
    assert resumed.simulated == bench.cells - (4 + 4 + 2 + 4) * 2


def test_a_second_driver_is_told_who_holds_the_results(bench: Any, tmp_path: Path) -> None:
    spec, results = bench.file(tmp_path), tmp_path / "results"
    with Journal(results / JOURNAL):
        run = bench.call("run", spec, "--in-process", "--results", results)
    assert run.exit_code == 3
    assert f"held by process {os.getpid()}" in run.stderr and "Traceback" not in run.output


@pytest.mark.parametrize("place", ["a file", "below a file", "no such folder can be made"])
def test_results_that_cant_be_written_are_named(bench: Any, tmp_path: Path, place: str) -> None:
    spec = bench.file(tmp_path)
    results = {"a file": spec, "below a file": spec / "results"}.get(place, Path("/proc/results"))
    run = bench.call("run", spec, "--in-process", "--results", results)
    assert run.exit_code in (2, 3), run.output
    assert str(results) in " ".join(run.stderr.split()) and "Traceback" not in run.output


# Limits the size of any file that the run writes, in steps, as a disk that fills up would. Each run is a process of its
# own, as a command is: on a full disk the lease can't be given back, and ends with its process.
DISK = """
import json, os, resource, sys
from typer.testing import CliRunner
from orchestrator import cli, tracking
tracking.flush = lambda sweep, **_: tracking.Flushed(link=None, experiment_id=None, cursor=None, message="")
spec, results, *limits = sys.argv[1:]
for limit in map(int, limits):
    pid = os.fork()
    if pid == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        run = CliRunner().invoke(cli.app, ["run", spec, "--in-process", "--results", results, "--json"])
        found = {"limit": limit, "code": run.exit_code, "err": run.stderr, "out": run.stdout}
        print(json.dumps(found), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""


def test_a_full_disk_ends_with_exit_code_3_and_a_remedy_and_the_run_can_be_resumed(
    bench: Any, finished: Any, tmp_path: Path
) -> None:
    spec, results = bench.file(tmp_path), tmp_path / "results"
    limits = [500, 2_000, 8_000, 20_000, 26_000, 60_000, 2**40]
    child = bench.child(DISK, spec, results, *map(str, limits))
    out, err = child.communicate()
    runs = [json.loads(line) for line in out.splitlines()]
    assert [run["limit"] for run in runs] == limits, err
    for run in runs:
        assert run["code"] in (0, 3), run
        assert "Traceback" not in run["err"], run
        if run["code"] == 3:
            assert str(results) in run["err"] and ("space" in run["err"] or "room" in run["err"]), run
    codes = [run["code"] for run in runs]
    assert codes[:2] == [3, 3] and codes[-1] == 0
    final = json.loads(runs[-1]["out"])
    assert final["digest"] == finished.result.digest
