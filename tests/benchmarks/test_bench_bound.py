import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bench_bound, report
from benchmarks.bench_bound import (
    METRICS,
    PARTS,
    Bench,
    costs_of,
    gains,
    replay_errors,
    rule_cells,
    target_gap,
)
from benchmarks.report import listed
from sim_core.control import ControllerRecord
from tests.sim_core.bound_models import TOLERANCE, batteries

CONTRACT = (
    "bound_seconds_ev24", "replay_error", "bound_violations", "rule_gap", "foresight_value_announced",
    "foresight_value_law", "foresight_value_clairvoyant",
)  # fmt: skip


def test_metrics_are_those_that_were_agreed_on():
    found = list(listed(METRICS, {"replay_error": 1e-9}, {"replay_error": "two scenarios"}))
    assert tuple(one["metric"] for one in found) == CONTRACT == tuple(METRICS)
    assert found[1]["value"] == 1e-9 and found[1]["note"] == "two scenarios"
    assert found[0]["value"] is None and "note" not in found[0]
    assert [one["target"] for one in found[:4]] == [60.0, 1e-6, 0.0, 0.0002]


def test_costs_are_by_controller_and_scenario():
    layout, kinds = batteries(), ("linear", "compliance_base_stock")
    records = [ControllerRecord(kind=kind) for kind in kinds]
    both = costs_of(layout, ["eu_tighten/0", "none/0"], records)
    assert both.shape == (2, 2)
    assert costs_of(layout, ["none/0"], records[1:])[0, 0] == both[1, 1]
    assert len(set(both.ravel())) == 4


def test_a_region_replays_exactly():
    errors = dict(replay_errors(0, months=12))
    assert list(errors) == ["regional eu_tighten"]
    assert max(errors.values()) <= TOLERANCE


def test_no_rule_costs_less_than_the_bound():
    ((costs, lower),) = rule_cells(["eu_tighten"])
    assert costs.shape == (len(bench_bound.RULES),)
    assert lower is not None and (costs > lower).all()


def test_a_cell_below_its_bound_is_counted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bench_bound, "rule_cells", lambda: [(np.array([1.0, 3.0]), 2.0), (np.array([5.0]), None)])
    bench = Bench(models=0, tries=0)
    bench_bound.violations(bench)
    assert bench.found["bound_violations"] == 1.0
    assert bench.notes["bound_violations"].startswith("of 2 cells; 1 scenarios")


def test_more_tries_come_nearer_to_the_plan_and_never_reach_below():
    few, more = target_gap(2), target_gap(16)
    assert 0.0 < more <= few


def test_views_are_paired_by_scenario():
    costs = np.array([[90.0, 110.0], [89.0, 109.0], [89.0, 108.0]])
    assert list(gains(costs)) == [(1.0, 0.0), (0.5, pytest.approx(0.5))]


def test_the_foresight_that_is_valued_is_that_of_the_experiment():
    fixed = bench_bound.plan_of("controllers.yaml").fixed
    ladder = [fixed[f"mpc_{view}"] for view in bench_bound.VIEWS]
    assert [record.parameters["view"] for record in ladder] == list(bench_bound.VIEWS)
    assert len({record.digest for record in ladder}) == 4
    beside = [{name: value for name, value in record.parameters.items() if name != "view"} for record in ladder]
    assert beside.count(beside[0]) == 4


def test_the_benchmark_writes_its_file_and_fails_on_a_wrong_bound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(bench_bound, "report", lambda name, found: report.report(name, found, tmp_path))
    for name, wrong, code in (("violations", 0.0, 0), ("violations", 2.0, 1)):
        part = lambda bench, wrong=wrong: bench.found.update(bound_violations=wrong)  # noqa: E731
        monkeypatch.setattr(bench_bound, "PARTS", {**PARTS, name: part})
        assert bench_bound.main(["--only", name]) == code
    written = json.loads((tmp_path / "bound.json").read_text(encoding="utf-8"))
    assert [one["metric"] for one in written] == list(CONTRACT)
