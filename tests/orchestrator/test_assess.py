"""`suite assess`: runs what the journal lacks, shares its runs with a sweep, prints the figures with their targets."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator import assess as assess_module
from orchestrator.assess import METRICS, Assessment, Size, assess
from orchestrator.assessment import Costs
from orchestrator.backend import RunSettings
from orchestrator.progress import PlainProgress
from orchestrator.score import OBJECTIVE
from orchestrator.shard import Shard
from sim_core.engine.layout import build_layout
from sim_core.errors import InputError
from sim_core.scenario import build_scenario
from sim_core.suite import SuiteDefinition

SMALL = Size(scenarios=4, replicated=2, replications=2, ladder=1)


def assessed(bench: Any, results: Path, tree: dict[str, Any] | None = None, size: Size = SMALL) -> Assessment:
    settings = RunSettings(in_process=True)
    return assess(bench.spec(tree), results, size=size, settings=settings, progress=PlainProgress())


@pytest.fixture(scope="module")
def once(bench: Any, finished: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Assessment]:
    """An assessment in a folder where the experiment has been run."""
    results = Path(shutil.copytree(finished.results, tmp_path_factory.mktemp("assessed") / "results"))
    return results, assessed(bench, results)


def test_an_assessment_takes_up_what_a_run_has_done_and_repeats_nothing(
    bench: Any, once: tuple[Path, Assessment], tmp_path: Path, simulated: list[tuple[str, str]]
):
    results, first = once
    copy = Path(shutil.copytree(results, tmp_path / "copy"))
    again = assessed(bench, copy)
    assert simulated == [] and again.simulated == 0 and replace(again, simulated=first.simulated) == first
    # beside the run: a replication of 2 scenarios for the top two, 4 views and the bound in each of 2 families
    assert first.simulated == 2 * 2 + 2 * 4 + 2
    assert json.loads((results / "assessment.json").read_text())["digest"] == first.digest


def test_it_tells_every_figure_with_its_target(once: tuple[Path, Assessment]):
    _, found = once
    form = found.to_json()
    assert [row["metric"] for row in form["metrics"]] == list(METRICS)
    told = {row["metric"]: row for row in form["metrics"]}
    assert told["kendall_tau_halves"]["target"] == 0.9 and told["flip_share"]["target"] == 0.1
    assert told["pair_coverage"]["target"] == 0.95 and told["pair_coverage"]["value"] is None, "rules revise no pairs"
    assert "3 controllers" in told["kendall_tau_halves"]["note"]
    assert set(form["ranking"]) == {"linear", "reference", "random"}
    for row in form["families"]:
        assert row["n"] == 1 and row["bound"] < row["reference"]
        gains = [row[f"gain_{view}"] for view in ("announced", "law", "clairvoyant")]
        assert sum(gains) == pytest.approx(row["ladder_headroom"], abs=1e-12)
    assert len(found.rows) == 4 and {row["tier"] for row in found.rows} <= {"easy", "medium", "hard"}
    assert sum(tier["scenarios"] for tier in found.tiers.values()) == 4


def test_a_replication_has_the_law_of_its_scenario_and_other_paths(bench: Any):
    layout = build_layout(bench.plan().suite)
    one, again, third = (build_scenario(layout, f"eu_weaken/5{suffix}") for suffix in ("", "~1", "~2"))
    assert again.id == "eu_weaken/5~1" and again.recipe.events == one.recipe.events
    assert again.instruments == one.instruments
    assert not np.array_equal(one.paths.demand, again.paths.demand)
    assert not np.array_equal(again.paths.demand, third.paths.demand)
    batch = Shard(bench.plan().suite)._compiled(["eu_weaken/5~2", "eu_weaken/5", "eu_weaken/5~1"])
    assert [scenario.id for scenario in batch] == ["eu_weaken/5~2", "eu_weaken/5", "eu_weaken/5~1"]
    assert np.array_equal(batch[0].paths.virgin_price, third.paths.virgin_price)


def test_a_reference_that_fails_is_said_before_anything_is_measured(
    bench: Any, finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    results = Path(shutil.copytree(finished.results, tmp_path / "copy"))
    whole = assess_module.costs_of

    def without(values: Any, *rest: Any) -> Any:
        return whole({name: found for name, found in values.items() if name != "reference"}, *rest)

    monkeypatch.setattr(assess_module, "costs_of", without)
    with pytest.raises(InputError, match="the reference and another one must"):
        assessed(bench, results)


def test_without_replications_or_ladder_these_figures_are_not_measured(bench: Any, finished: Any, tmp_path: Path):
    results = Path(shutil.copytree(finished.results, tmp_path / "copy"))
    found = assessed(bench, results, size=Size(scenarios=4, replicated=0, replications=1, ladder=0))
    missing = [name for name, value in found.metrics.items() if value is None]
    assert missing == [
        "pair_coverage",
        "flip_share",
        "headroom_least_family",
        "ladder_headroom",
        "ladder_headroom_least_family",
    ]
    assert found.simulated == 0


def test_the_command_prints_tables_and_one_object(bench: Any, once: tuple[Path, Assessment], tmp_path: Path):
    results, found = once
    copy = Path(shutil.copytree(results, tmp_path / "copy"))
    options = ("--scenarios", "4", "--replicated", "2", "--replications", "2", "--ladder", "1", "--in-process")
    called = bench.call("suite", "assess", bench.file(tmp_path), "--results", copy, *options, "--json")
    assert called.exit_code == 0, called.output
    said = json.loads(called.stdout.splitlines()[-1])
    assert said["digest"] == found.digest and said["metrics"] == found.to_json()["metrics"]
    assert "not measured" in called.stderr and "Headroom by family" in called.stderr
    wrong = bench.call("suite", "assess", bench.file(tmp_path), "--in-process", "--workers", "2")
    assert wrong.exit_code == 2 and "leave out --workers" in wrong.stderr


def test_costs_are_the_objective_of_the_journal(bench: Any, once: tuple[Path, Assessment], finished: Any):
    _, found = once
    board = {row.name: row.cost for row in finished.result.leaderboard.rows}
    assert list(found.ranking) == sorted(board, key=lambda name: board[name])
    assert OBJECTIVE == "objective"


def test_coverage_and_leaks_are_those_of_the_whole_suite_however_few_scenarios_are_run(bench: Any):
    revised = {"families": ["eu_revised"], "scenarios": 600}
    splits = {**bench.tree()["suite"]["splits"], "test": revised}
    plan = bench.plan(bench.tree(splits=splits))
    few = assess_module._sized(plan, SMALL)
    nobody = Costs(controllers=(), scenarios=(), families=(), values=np.zeros((0, 0)))

    def covered(suite: SuiteDefinition) -> float:
        found = assess_module._Found(plan=few, suite=suite, costs=nobody, reference="reference", rows={})
        share = found._coverage()
        assert share is not None and found._leak_ratio() is not None
        return share

    assert covered(plan.suite) > 2 * covered(few.suite), "four scenarios can't cover what six hundred do"
