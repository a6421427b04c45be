"""Races, repeats, settings and CPU limits in whole sweeps: same bytes by every way of running."""

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from optimizers.contract import Domain
from optimizers.evolution import Evolution
from optimizers.settings import Setting
from orchestrator import racing, search_trial
from orchestrator.backend import RunSettings
from orchestrator.journal import Journal
from orchestrator.outcome import JOURNAL, describe, read_outcome
from orchestrator.races import Finals, ended, journalled, searched
from orchestrator.records import Generation
from orchestrator.runtime import Connection
from orchestrator.simulate import controller_of
from orchestrator.work import SearchJob
from sim_core.seeding import canonical_json
from tests.orchestrator.test_resume import KILLED
from tests.orchestrator.test_search_trial import Runner, search


def raced(bench: Any) -> dict[str, Any]:
    """The tiny experiment with races of 5 over 12 fresh scenarios, one of them between two searches' elites."""
    tree = bench.tree()
    tree["suite"]["splits"]["train"]["scenarios"] = 14
    for entry in tree["entries"][1:]:
        entry["search"] |= {"race": {"candidates": 5, "scenarios": 12, "first": 4, "p": 0.4}}
    tree["entries"][2]["search"]["repeats"] = 2
    return tree


@pytest.fixture(scope="module")
def undisturbed(bench: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    results = tmp_path_factory.mktemp("raced") / "results"
    return results, bench.run(results, raced(bench))


def finals_of(bench: Any, results: Path, name: str) -> Finals:
    plan = bench.plan(raced(bench))
    with Journal(results / JOURNAL, read_only=True) as journal:
        return journalled(plan, name, searched(plan, name, journal), journal)


# ------------------------------------------------------------------------------------------------ the race


def test_a_race_runs_on_scenarios_that_no_search_saw(bench: Any) -> None:
    plan = bench.plan(raced(bench))
    train = plan.suite.scenarios("train")
    for name, race in plan.races.items():
        assert race.scenarios == train[2:14] and race.rungs == (4, 8, 12)
        assert not set(race.scenarios) & {one for job in plan.searches[name] for one in job.scenarios}
        assert {job.finalists for job in plan.searches[name]} == {5} and race.finalists == 2


def test_repeats_are_searches_with_seeds_in_a_row(bench: Any) -> None:
    plan = bench.plan(raced(bench))
    first, second = plan.searches["random"]
    assert (first.seed, second.seed) == (1, 2)
    assert replace(second, seed=1, search=first.search) == first
    assert len(plan.jobs) == len({job.search for job in plan.jobs}) == 3


def test_finalists_are_the_races_best_and_the_choice_is_between_them(bench: Any, undisturbed: tuple[Path, Any]) -> None:
    results, _ = undisturbed
    plan = bench.plan(raced(bench))
    for name, elites in (("reference", 5), ("random", 9)):  # both seeds hand over the usual targets
        found = finals_of(bench, results, name)
        assert found.over and len(found.elites) == elites and len(found.finalists) == 2
        with Journal(results / JOURNAL, read_only=True) as journal:
            rows = journal.cells(found.run)
            chosen = controller_of(plan, name, journal)
        assert chosen in found.finalists
        means = {}
        for record in found.elites:
            keys = [plan.cell(scenario, record).key for scenario in plan.races[name].scenarios]
            if all(key in rows for key in keys):
                means[record.digest] = sum(rows[key].metrics["objective"] for key in keys)
        assert [one.digest for one in found.finalists] == sorted(means, key=lambda digest: means[digest])[:2]


def test_some_drop_out_and_are_not_run_further(bench: Any, undisturbed: tuple[Path, Any]) -> None:
    results, result = undisturbed
    runs = {name: len(finals_of(bench, results, name).run) for name in ("reference", "random")}
    assert 5 * 4 <= runs["reference"] <= 5 * 12 and 9 * 4 <= runs["random"] < 9 * 12
    # Searches 3 x 20, races, choices 2 x 2 x 2, scores 3 x 4.
    assert result.cells == result.simulated == 60 + sum(runs.values()) + 8 + 12


def test_the_race_counts_in_the_digest(bench: Any, undisturbed: tuple[Path, Any]) -> None:
    results, result = undisturbed
    plan = bench.plan(raced(bench))
    with Journal(results / JOURNAL, read_only=True) as journal:
        outcome = read_outcome(plan, journal)
        run = {key for found in outcome.finals.values() for key in found.run}
        assert run <= set(outcome.keys)
        assert journal.digest(set(outcome.keys) - run) != result.digest == journal.digest(outcome.keys)


def test_a_sweep_without_races_has_no_such_wave(bench: Any, finished: Any) -> None:
    assert "race" not in [wave["name"] for wave in describe(bench.spec(), finished.results)["waves"]]


def test_the_plan_counts_the_race(bench: Any, undisturbed: tuple[Path, Any], tmp_path: Path) -> None:
    spec = bench.spec(raced(bench))
    before = {wave["name"]: wave for wave in describe(spec, tmp_path)["waves"]}
    assert before["race"] == {"name": "race", "cells": 15 * 12, "done": 0, "upper_bound": True}
    assert before["search"]["cells"] == 60 and before["choose"]["cells"] == 8
    after = {wave["name"]: wave for wave in describe(spec, undisturbed[0])["waves"]}
    runs = sum(len(finals_of(bench, undisturbed[0], name).run) for name in ("reference", "random"))
    assert after["race"] == {"name": "race", "cells": runs, "done": runs, "upper_bound": False}


@pytest.mark.parametrize("workers", [1, 2])
def test_ray_gives_the_digest_of_one_process(
    ray_runtime: Connection, bench: Any, undisturbed: tuple[Path, Any], tmp_path: Path, workers: int
) -> None:
    result = bench.run(tmp_path, raced(bench), settings=RunSettings(workers=workers))
    assert result.digest == undisturbed[1].digest
    assert result.leaderboard.to_json() == undisturbed[1].leaderboard.to_json()


# ------------------------------------------------------------------------------------------------ kill -9


KILLS = {
    # what then is journalled: generations of the three searches (3 each), runs of races
    "in the second of two repeats": ("orchestrator.journal:Journal.put_generation", "after", 7, 7),
    "between two rungs": ("orchestrator.journal:Journal.put_cells", "after", 1, 9),
    "in the transaction of a rung": ("orchestrator.journal:Journal.put_cells", "before", 2, 9),
    "raced, nothing chosen": ("orchestrator.journal:Journal.put_choice", "before", 1, 9),
}


@pytest.fixture(scope="module")
def killed(bench: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    results: dict[str, Path] = {}
    jobs: list[Any] = []
    for point, (place, when, number, _) in KILLS.items():
        folder = tmp_path_factory.mktemp("killed")
        results[point] = folder / "results"
        spec = bench.file(folder, raced(bench))
        jobs.append((place, when, number, ["run", str(spec), "--in-process", "--results", str(results[point])]))
    out, err = bench.child(KILLED, json.dumps(jobs)).communicate()
    assert [int(line) for line in out.split()] == [-signal.SIGKILL] * len(KILLS), err
    return results


def recommendations(bench: Any, results: Path) -> str:
    """Return what the finished sweep recommends: all finalists and choices, as text."""
    plan = bench.plan(raced(bench))
    with Journal(results / JOURNAL, read_only=True) as journal:
        found = read_outcome(plan, journal)
        return canonical_json(
            {
                name: [controller_of(plan, name, journal).to_json(), *(one.to_json() for one in finals.finalists)]
                for name, finals in found.finals.items()
            }
        )


@pytest.mark.parametrize("point", KILLS)
def test_a_killed_sweep_recommends_the_same_byte_for_byte(
    bench: Any, undisturbed: tuple[Path, Any], killed: dict[str, Path], point: str
) -> None:
    results, (whole, result) = killed[point], undisturbed
    plan = bench.plan(raced(bench))
    with Journal(results / JOURNAL, read_only=True) as journal:
        told = [searched(plan, name, journal) for name in plan.searches]
        assert sum(len(generations) for searches in told for generations in searches) == KILLS[point][-1]
        entries = [name for name in plan.searches if ended(searched(plan, name, journal))]
        done = sum(len(journalled(plan, name, searched(plan, name, journal), journal).run) for name in entries)
    resumed = bench.run(results, raced(bench))
    assert resumed.digest == result.digest
    assert recommendations(bench, results) == recommendations(bench, whole)
    assert resumed.reused >= done + sum(len(one.values) * 2 for many in told for group in many for one in group)


def test_a_race_judged_by_the_runs_at_hand_fails_that_check(
    bench: Any, undisturbed: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(racing, "_complete", lambda left, scenarios, costs: len(costs[left[0]]) > 0)
    with pytest.raises((AssertionError, KeyError)):
        bench.run(tmp_path / "results", raced(bench))
        assert recommendations(bench, tmp_path / "results") == recommendations(bench, undisturbed[0])


# ------------------------------------------------------------------------------------------------ CPU seconds


@pytest.fixture
def job(bench: Any) -> SearchJob:
    return replace(bench.plan().searches["reference"][0], budget=12, width=2)


class Clock:
    """Stands for process_time: every look at it takes as long as the machine is slow."""

    def __init__(self, slowness: float) -> None:
        self.now, self.slowness = 0.0, slowness

    def process_time(self) -> float:
        self.now += self.slowness
        return self.now


def on_a_machine(slowness: float, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(search_trial, "time", Clock(slowness))


def test_a_search_ends_with_the_generation_in_which_its_seconds_run_out(
    bench: Any, job: SearchJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = bench.plan().suite
    whole = search(job, suite, Runner())
    on_a_machine(1.0, monkeypatch)  # two seconds a generation
    found = search(replace(job, cpu_seconds=5.0), suite, Runner())
    assert [one.values for one in found] == [one.values for one in whole[:3]]
    assert found[-1].last and len(found[-1].finalists) == job.finalists
    assert len(search(replace(job, cpu_seconds=5.0, spent_s=2.0), suite, Runner())) == 2  # of an earlier run


def check_the_journal_decides(bench: Any, job: SearchJob, patch: pytest.MonkeyPatch) -> None:
    """A slower machine resumes a search after two generations: these two stand as they are."""
    suite, limited = bench.plan().suite, replace(job, cpu_seconds=9.0)
    on_a_machine(1.0, patch)
    first: list[Generation] = search(limited, suite, Runner())
    known = {value.candidate: value for one in first[:2] for value in one.values}
    on_a_machine(50.0, patch)
    resumed = search(replace(limited, spent_s=4.0), suite, Runner(), known)
    assert [one.body() for one in resumed[:2]] == [one.body() for one in first[:2]]
    assert len(resumed) == 3


def test_the_journal_decides_and_not_the_machine_that_resumes(
    bench: Any, job: SearchJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_the_journal_decides(bench, job, monkeypatch)


def test_a_limit_that_ends_what_is_looked_up_fails_that_check(
    bench: Any, job: SearchJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = search_trial.SearchTrial._ends
    monkeypatch.setattr(
        search_trial.SearchTrial, "_ends", lambda self, asked, _, cpu_s: ends(self, asked, asked, cpu_s)
    )
    with pytest.raises(AssertionError):
        check_the_journal_decides(bench, job, monkeypatch)


def test_a_sweep_whose_search_ended_early_is_finished(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = bench.tree()
    for entry in tree["entries"][1:]:
        entry["search"] |= {"cpu_seconds": 1e-9}
    result = bench.run(tmp_path / "results", tree)
    assert result.cells == result.simulated == bench.cells - 2 * 2 * 6  # one generation of 4 instead of 10 evaluations
    waves = {wave["name"]: wave for wave in describe(bench.spec(tree), tmp_path / "results")["waves"]}
    assert (waves["search"]["cells"], waves["search"]["done"]) == (16, 16)
    again = bench.run(tmp_path / "results", tree)
    assert (again.simulated, again.digest) == (0, result.digest)
    text = (tmp_path / "results" / "report.html").read_text(encoding="utf-8")
    assert text.count("<td>1 of 1</td>") == 2


# ------------------------------------------------------------------------------------------------ settings


def test_settings_reach_the_method_and_are_part_of_the_searchs_identity(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"greed": Setting(usual=1.0, domain=Domain(low=0.5, high=4.0), meaning="of a test")}
    monkeypatch.setattr(Evolution, "SETTINGS", known)
    tree = bench.tree()
    tree["entries"][1]["search"]["settings"] = {"greed": 2.5}
    plan = bench.plan(tree)
    (job,) = plan.searches["reference"]
    assert job.settings == {"greed": 2.5}
    assert job.search != bench.plan().searches["reference"][0].search
    trial = search_trial.SearchTrial(job, plan.suite, {}, Runner())
    assert trial._optimizer.setting == {"greed": 2.5}
