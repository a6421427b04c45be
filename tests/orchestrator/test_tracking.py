import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest

from orchestrator import tracking
from orchestrator.tracking import KEY_TAG, Flushed, Sweep, flush
from orchestrator.tracking_view import SHARED_VIEW_TAG, shared_view

REMOTE = "http://mlflow.invalid:5000"
ENTRIES = ("quantum_inspired", "evolutionary", "random", "reference", "linear")


def row(rank: int, name: str) -> dict[str, Any]:
    cost = 1.0e8 + rank * 3.0e6
    return {
        "name": name,
        "controller": f"{rank:064x}",
        "rank": rank,
        "score": None,
        "cost": cost,
        "cost_diff": (rank - 4) * 3.0e6,
        "cost_diff_lo": (rank - 4) * 3.0e6 - 1.0e6,
        "cost_diff_hi": (rank - 4) * 3.0e6 + 1.0e6,
        "carbon": 4321.5,
        "circularity": 0.1 + 0.2,
        "compliance": None if name == "linear" else 0.97,
        "n": 64,
        "tied": False,
        "per_family": {"tariff": {"cost_diff": -1.0}},
    }


def make_sweep(folder: Path, *, digest: str = "d1") -> Sweep:
    cells, report = folder / "part-0.parquet", folder / "page.html"
    cells.write_bytes(b"PAR1")
    report.write_text("<p>report</p>")
    return Sweep(
        suite="ev_eu",
        suite_digest="s1",
        name="demo",
        digest=digest,
        leaderboard={"digest": digest, "entries": [row(rank, name) for rank, name in enumerate(ENTRIES, start=1)]},
        controllers={name: {"kind": "schedule", "parameters": {"levers": [[0, 1]]}} for name in ENTRIES},
        cells=cells,
        report=report,
        started_ms=1_700_000_000_000,
        ended_ms=1_700_000_060_000,
    )


class FakeServer:
    """An MLflow in memory. `lose` names calls whose effect happens once while their answer is lost."""

    def __init__(self, *lose: str) -> None:
        self.lose = list(lose)
        self.experiments: dict[str, Any] = {}
        self.tags: dict[str, str] = {}
        self.runs: list[Any] = []
        self.artifacts: dict[tuple[str, str], str] = {}

    @contextlib.contextmanager
    def client(self, _uri: str) -> Iterator["FakeServer"]:
        yield self

    def _answer(self, call: str) -> None:
        if call in self.lose:
            self.lose.remove(call)
            raise ConnectionError("the answer was lost")

    def get_experiment_by_name(self, name: str) -> Any:
        return self.experiments.get(name)

    def create_experiment(self, name: str, artifact_location: str | None = None) -> str:
        assert name not in self.experiments
        self.experiments[name] = SimpleNamespace(experiment_id="7", lifecycle_stage="active")
        self._answer("create_experiment")
        return "7"

    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None:
        self.tags[key] = value
        self._answer("set_experiment_tag")

    def search_runs(self, experiment_ids: list[str], filter_string: str = "") -> list[Any]:
        key = filter_string.split("'")[1]
        return [run for run in self.runs if run.data.tags[KEY_TAG] == key]

    def create_run(
        self, experiment_id: str, start_time: int | None = None, tags: Any = None, run_name: str | None = None
    ) -> Any:
        info = SimpleNamespace(run_id=f"run{len(self.runs)}", name=run_name, start_time=start_time, end_time=None)
        run = SimpleNamespace(info=info, data=SimpleNamespace(tags=tags, metrics={}, params={}))
        self.runs.append(run)
        self._answer("create_run")
        return run

    def _run(self, run_id: str) -> Any:
        return next(run for run in self.runs if run.info.run_id == run_id)

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        data = self._run(run_id).data
        for param in params:
            assert data.params.get(param.key, param.value) == param.value, "MLflow refuses to change a parameter"
            data.params[param.key] = param.value
        data.metrics.update({metric.key: metric.value for metric in metrics})
        self._answer("log_batch")

    def log_artifact(self, run_id: str, local_path: str) -> None:
        self.artifacts[run_id, Path(local_path).name] = Path(local_path).read_text()
        self._answer("log_artifact")

    def log_dict(self, run_id: str, dictionary: dict[str, Any], artifact_file: str) -> None:
        self.artifacts[run_id, artifact_file] = json.dumps(dictionary)

    def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
        self._run(run_id).info.end_time = end_time
        self._answer("set_terminated")


def flush_to(server: FakeServer, sweep: Sweep, cursor: str | None = None) -> Flushed:
    return flush(sweep, uri=REMOTE, cursor=cursor, client_factory=server.client)


# ---------------------------------------------------------------------------- each run once


def check_that_no_run_is_doubled(folder: Path) -> None:
    """One parent and one run per Entry: after repeats, and after any lost answer."""
    for lost in ((), ("create_run",), ("log_batch",), ("set_terminated",), ("create_experiment",), ("log_artifact",)):
        server = FakeServer(*lost)
        for _ in range(3):
            assert flush_to(server, make_sweep(folder)).message == ""
        assert sorted(run.info.name for run in server.runs) == sorted([*ENTRIES, "demo"]), lost
        assert len({run.data.tags[KEY_TAG] for run in server.runs}) == len(server.runs)


def test_no_run_is_doubled(tmp_path: Path) -> None:
    check_that_no_run_is_doubled(tmp_path)


def test_mutant_create_without_look_up_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking._Writer, "_find", lambda self, key: None)
    with pytest.raises(AssertionError):
        check_that_no_run_is_doubled(tmp_path)


def test_each_request_is_sent_once_so_that_a_lost_answer_is_looked_up(tmp_path: Path) -> None:
    seen: list[str | None] = []

    @contextlib.contextmanager
    def spy(_uri: str) -> Iterator[Any]:
        seen.append(os.environ.get("MLFLOW_HTTP_REQUEST_MAX_RETRIES"))
        raise ConnectionError("down")
        yield

    before = os.environ.get("MLFLOW_HTTP_REQUEST_MAX_RETRIES")
    flushed = flush(make_sweep(tmp_path), uri=REMOTE, cursor=None, client_factory=spy)
    assert seen == ["0", "0"]
    assert os.environ.get("MLFLOW_HTTP_REQUEST_MAX_RETRIES") == before
    assert flushed.message.startswith("MLflow not updated: ")
    assert flushed.message.endswith("run the command again")


# ---------------------------------------------------------------------------- what is written


def test_parent_children_values_and_times(tmp_path: Path) -> None:
    server = FakeServer()
    sweep = make_sweep(tmp_path)
    flushed = flush_to(server, sweep)
    runs = {run.info.name: run for run in server.runs}
    parent = runs.pop("demo")
    assert list(server.experiments) == ["circularbench/ev_eu"]
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    assert "mlflow.parentRunId" not in parent.data.tags
    assert {(run.info.start_time, run.info.end_time) for run in server.runs} == {(sweep.started_ms, sweep.ended_ms)}
    assert runs["quantum_inspired"].data.metrics["cost_diff"] == -9.0e6
    assert runs["quantum_inspired"].data.metrics["circularity"] == 0.3
    assert "compliance" not in runs["linear"].data.metrics
    assert not any("score" in run.data.metrics for run in server.runs)
    assert server.artifacts[parent.info.run_id, "cells.parquet"] == "PAR1"
    assert server.artifacts[parent.info.run_id, "report.html"] == "<p>report</p>"
    entry = json.loads(server.artifacts[runs["random"].info.run_id, "entry.json"])
    assert entry["controller"] == {"kind": "schedule", "parameters": {"levers": [[0, 1]]}}
    assert flushed.link is not None
    assert parse_qs(flushed.link.partition("?")[2])["viewStateShareKey"] == [
        tag.removeprefix(SHARED_VIEW_TAG) for tag in server.tags
    ]


def test_two_sweeps_of_a_suite_share_the_experiment_but_no_run(tmp_path: Path) -> None:
    server = FakeServer()
    first = flush_to(server, make_sweep(tmp_path, digest="d1"))
    second = flush_to(server, make_sweep(tmp_path, digest="d2"), cursor=first.cursor)
    assert len(server.runs) == 2 * (len(ENTRIES) + 1)
    assert first.experiment_id == second.experiment_id
    assert first.link != second.link


def test_the_shared_view_shows_one_sweep_by_rank_in_columns_that_hold_values() -> None:
    view = json.loads(shared_view(name="x", sweep_key="abc", metrics={"rank", "cost", "tied"}, created_ms=5))
    state = json.loads(view["state"])
    assert view["name"] == "x"
    assert state["selectedColumns"] == ["metrics.`rank`", "metrics.`cost`"]
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`rank`", True)
    assert "'abc'" in state["searchFilter"]


def test_a_current_cursor_writes_nothing_and_needs_no_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeServer()
    first = flush_to(server, make_sweep(tmp_path))
    monkeypatch.setitem(sys.modules, "mlflow", None)
    again = flush(make_sweep(tmp_path), uri=REMOTE, cursor=first.cursor)
    assert again == first
    assert flush(make_sweep(tmp_path), uri="http://other.invalid", cursor=first.cursor).link is None


def test_a_deleted_experiment_is_named_with_the_remedy(tmp_path: Path) -> None:
    server = FakeServer()
    server.experiments["circularbench/ev_eu"] = SimpleNamespace(experiment_id="7", lifecycle_stage="deleted")
    assert "mlflow experiments restore --experiment-id 7" in flush_to(server, make_sweep(tmp_path)).message
