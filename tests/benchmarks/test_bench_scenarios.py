import json
from pathlib import Path

import pytest

from benchmarks import bench_scenarios, report
from benchmarks.bench_scenarios import METRICS, Bench, best_rate, layout, memory, paths, recipes
from benchmarks.report import listed
from sim_core.generate.families import FAMILY_NAMES

CONTRACT = (
    "recipes_per_s", "recipes_per_s_slowest", "paths_per_s", "bytes_per_recipe", "memory_growth_mib", "scenarios_per_s",
)  # fmt: skip
FEW = ("none", "eu_turmoil")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_RECIPES", "_PATHS", "_SCENARIOS"):
        monkeypatch.setattr(bench_scenarios, name, 4)
    monkeypatch.setattr(bench_scenarios, "FAMILY_NAMES", FEW)


def test_metrics_are_those_that_were_agreed_on():
    found = list(listed(METRICS, {"paths_per_s": 2000.0}, {"paths_per_s": "one family"}))
    assert tuple(one["metric"] for one in found) == CONTRACT == tuple(METRICS)
    assert [one["target"] for one in found] == [10_000.0, None, 1_500.0, 1024.0, 16.0, None]
    assert found[2]["value"] == 2000.0 and found[2]["note"] == "one family" and found[0]["value"] is None


def test_the_layout_is_that_of_the_target():
    assert layout().suite.periods == bench_scenarios.PERIODS == 156 and len(layout().network.nodes) == 24


def test_the_best_of_some_calls_counts():
    calls: list[int] = []
    assert best_rate(calls.append, 100, 3) > 0.0
    assert calls == [0, 1, 2]


def test_rates_are_those_of_all_families_in_turn_and_of_the_slowest():
    bench = Bench(repeats=1, stream=0)
    recipes(bench)
    slow, all_of_them = bench.found["recipes_per_s_slowest"], bench.found["recipes_per_s"]
    assert slow is not None and all_of_them is not None and 0.0 < slow <= all_of_them
    assert 100.0 < (bench.found["bytes_per_recipe"] or 0.0) <= 1024.0
    assert all(name in bench.notes["recipes_per_s"] for name in FEW)


def test_paths_are_timed_in_every_kind_of_world():
    bench = Bench(repeats=1, stream=0)
    paths(bench)
    assert (bench.found["paths_per_s"] or 0.0) > 0.0
    assert bench.notes["paths_per_s"].count(",") >= 3 and set(FEW) <= set(FAMILY_NAMES)


def test_memory_that_grows_is_found(monkeypatch: pytest.MonkeyPatch):
    sizes = iter([100 << 20, 130 << 20, 130 << 20])
    monkeypatch.setattr(bench_scenarios, "resident", lambda: next(sizes))
    bench = Bench(repeats=1, stream=16)
    memory(bench)
    assert bench.found["memory_growth_mib"] == pytest.approx(30.0)


@pytest.mark.parametrize(("size", "code"), [(800.0, 0), (1025.0, 1)])
def test_the_benchmark_writes_its_file_and_fails_on_a_large_recipe(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: float, code: int
):
    monkeypatch.setattr(bench_scenarios, "report", lambda name, found: report.report(name, found, tmp_path))
    part = lambda bench: bench.found.update(bytes_per_recipe=size)  # noqa: E731
    monkeypatch.setattr(bench_scenarios, "PARTS", {"recipes": part})
    assert bench_scenarios.main(["--only", "recipes"]) == code
    written = json.loads((tmp_path / "scenarios.json").read_text(encoding="utf-8"))
    assert [one["metric"] for one in written] == list(CONTRACT)
