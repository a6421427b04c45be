import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks import bench_search
from benchmarks.bench_search import LOCK, chosen, prepare, present
from benchmarks.search import plan, suites
from benchmarks.search.figures import KNOWN, figures
from benchmarks.search.noise import ESTIMATORS
from benchmarks.search.plan import BEST_OF_SA, FLAGSHIP, FULL, GA, LITERAL, LONG, SA, SEVERAL, SHORT, USUAL
from benchmarks.search.results import Results
from benchmarks.search.runs import Job, Kept, Run
from benchmarks.search.tables import lines, regrets, sentence

FURTHER = suites.FURTHER[:4]
GLASS = "glass12x12#1"


def runs(
    method: str, level: float, problems: Sequence[str], budget: int = USUAL, setting: str = "exact", seeds: int = 5
) -> Iterator[Run]:
    """Runs whose regrets lie around a level, wider apart with the level, never tied between levels."""
    for place, problem in enumerate(problems):
        for seed in range(seeds):
            job = Job(method=method, problem=problem, budget=budget, seed=seed, setting=setting)
            score = level * (1.0 + 0.01 * ((seed + place) % 3 - 1))
            yield Run(job=job, score=score, trace=((1, 0.9), (100, score)), cpu_us=40.0 + seed, ask_ms=7.0)


def told(**changes: object) -> Namespace:
    words: dict[str, object] = {"quick": False, "methods": None, "problems": None, "seeds": None, "budget": None}
    return Namespace(**(words | {"slow_peers": False, "more_problems": False} | changes))


@pytest.fixture(scope="module")
def results() -> Results:
    pooled = (*suites.FIFTEEN, *FURTHER)
    found = [
        *runs(FLAGSHIP, 0.01, pooled),
        *runs(FLAGSHIP, 0.1, suites.FIFTEEN, SHORT),
        *runs(FLAGSHIP, 0.002, suites.SIX, LONG),
        *runs(SA, 0.02, (*suites.SIX, *FURTHER)),
        *runs(SA, 0.005, [name for name in suites.FIFTEEN if name not in suites.SIX]),
        *runs(SA, 0.05, suites.FIFTEEN, SHORT),
        *runs(BEST_OF_SA, 0.03, pooled),
        *runs(GA, 0.01, pooled),
        *runs("random", 0.5, suites.FIFTEEN),
        *runs(LITERAL, 0.75, suites.FIFTEEN),
        *runs(SEVERAL, 0.95, suites.SIX, setting="front"),
    ]
    for name, estimator in ESTIMATORS.items():
        regret = (0.01 if estimator.common else 0.03) * (2.0 if estimator.scenarios == 64 else 1.0)
        regret *= 1.5 if not estimator.common and estimator.level > 50.0 else 1.0
        found += runs(FLAGSHIP, regret, suites.SCHEDULES, estimator.budget, name, seeds=3)
    return Results(found)


def test_figures_follow_from_the_runs(results: Results):
    found = {one["metric"]: one for one in figures(results, FURTHER)}
    values = {name: one["value"] for name, one in found.items()}
    assert list(values) == list(KNOWN)
    assert values["regret_schedules_1e3"] == pytest.approx(0.1, rel=0.01)
    assert values["regret_schedules_1e4"] == pytest.approx(0.01, rel=0.01)
    assert values["regret_schedules_1e5"] == pytest.approx(0.002, rel=0.01)
    assert (values["ratio_sequential_sa"], values["ratio_best_of_16_sa"]) == pytest.approx((2.0, 3.0))
    assert values["p_best_of_16_sa"] == values["p_sequential_sa"] < 1e-6
    assert values["p_schedule_ga"] is None  # the same regrets
    assert values["regret_all_1e4"] == pytest.approx(0.01, rel=0.01)
    assert values["literal_seed_over_random"] == pytest.approx(1.5)
    assert values["hypervolume_ratio"] == pytest.approx(0.95, rel=0.01)
    assert values["crn8_gain"] == pytest.approx(3.0)  # 3 at the low level, 4.5 at the high one
    assert (values["ask_tell_us"], values["ask_256_ms"]) == (42.0, 7.0)
    assert "50 won, 0 lost" in found["p_sequential_sa"]["note"]
    assert "10 instances" in found["p_sequential_sa"]["note"]


def test_what_was_not_measured_has_no_value():
    assert {one["value"] for one in figures(Results([]), [])} == {None}


def test_a_mean_over_problems_needs_all_of_them(results: Results):
    some = Results([run for run in results.runs if run.job.problem != suites.SIX[2]])
    values = {one["metric"]: one["value"] for one in figures(some, FURTHER)}
    assert values["regret_schedules_1e4"] is None
    assert values["regret_further_1e4"] is not None


def test_a_problem_with_a_failed_run_has_no_result_and_the_fault_is_told(results: Results):
    job = Job(method=SA, problem=suites.SIX[0], budget=USUAL, seed=99)
    some = Results([*results.runs, Run(job=job, score=None, fault="ValueError: too many bits")])
    assert some.mean(SA, USUAL, suites.SIX) is None
    assert some.mean(SA, USUAL, suites.SIX[1:]) is not None
    assert f"{SA}: 1 failed; {suites.SIX[0]}: ValueError: too many bits" in list(lines(some, FURTHER))


def test_the_sentence_says_where_it_holds_and_where_not(results: Results):
    said = [line for line in sentence(results, FURTHER) if "sequential SA" in line]
    beats, loses = said[0], said[-1]
    assert beats.startswith("quantum-inspired beats sequential SA on the six schedules at 1e4 (2.00x, p 6e-07)")
    assert "4 further schedules at 1e4" in beats
    assert loses.startswith("quantum-inspired loses to sequential SA on the six schedules at 1e3 (0.50x")
    assert "LeadingOnes100" not in beats
    # Five seeds of one problem can't reach p < 0.01, however clear they look.
    assert any(
        "can't be told from" in line and "LeadingOnes100 at 1e4 (0.50x, p 0.031, 5 pairs)" in line for line in said
    )


def test_a_better_mean_without_evidence_beats_nobody(results: Results):
    few = Results([run for run in results.runs if run.job.seed == 0 and run.job.problem in suites.SIX])
    text = "\n".join(sentence(few, []))
    assert "beats" not in text and "can't be told from" in text


def test_the_table_has_a_row_for_each_method_best_first(results: Results):
    rows = list(regrets(results, FURTHER))[2:]
    assert [row.split()[0] for row in rows] == [FLAGSHIP, GA, SA, BEST_OF_SA, "random", LITERAL]
    quantum = rows[0].split()
    assert [float(cell) for cell in quantum[1:5]] == pytest.approx([100.0, 10.0, 10.0, 10.0], rel=0.01)
    assert rows[-1].split()[1] == "-"


def test_the_plan_has_the_seeds_and_instances_of_the_acceptance():
    jobs = list(dict.fromkeys(plan.jobs(FULL, [*plan.OURS, SEVERAL, *plan.PEERS])))
    for method in plan.CORE:
        at = [job for job in jobs if (job.method, job.budget, job.setting) == (method, USUAL, "exact")]
        assert {job.seed for job in at if job.problem in suites.SIX} == set(range(15))
        assert {job.problem for job in at} >= {*suites.SIX, *suites.FURTHER, *suites.FIFTEEN}
    assert {job.problem for job in jobs if job.budget == LONG} == set(suites.SIX)
    assert {job.method for job in jobs if job.method.startswith("optuna")} == set()
    nine = [job for job in jobs if job.method == FLAGSHIP and job.problem == GLASS and job.budget == USUAL]
    assert len(nine) == 7  # of which the paired test can say p = 1/128
    slow = plan.jobs(FULL, ["optuna TPE", "nevergrad NGOpt"], slow=True)
    assert {(job.method, job.budget) for job in slow} == {
        ("optuna TPE", SHORT),
        ("nevergrad NGOpt", SHORT),
        ("nevergrad NGOpt", USUAL),
    }


def test_the_command_line_chooses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bench_search.importlib.util, "find_spec", lambda _: None)
    jobs = chosen(told(methods=[SA], problems=["drawn"], seeds=2, budget=USUAL), [SA, FLAGSHIP])
    assert {(job.method, job.budget) for job in jobs} == {(SA, USUAL)}
    assert len(jobs) == 2 * len(suites.FURTHER)
    everything = chosen(told(quick=True), [SA, FLAGSHIP])
    assert not any(suites.needs_ioh(job.problem) for job in everything)
    assert len(set(everything)) == len(everything) > 0
    monkeypatch.setattr(bench_search.importlib.util, "find_spec", lambda _: object())
    usual = chosen(told(quick=True), [SA, FLAGSHIP])
    assert any(suites.needs_ioh(job.problem) for job in usual)
    more = set(chosen(told(quick=True, more_problems=True), [SA, FLAGSHIP])) - set(usual)
    assert {job.problem for job in more} == set(suites.MORE)


def test_methods_that_cannot_be_started_are_named():
    found, missing = present(["random", "no_such_method"])
    assert "random" in found
    assert missing["no_such_method"] == "not among the methods of optimizers/"


def test_packages_are_installed_once_a_lock_and_a_failure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls: list[Sequence[str]] = []
    answers = [1, 0]

    def pip(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        code = answers.pop(0)
        return subprocess.CompletedProcess(command, code, "", "WARNING: slow\nERROR: no matching distribution\n")

    folder, lock = tmp_path / "packages", tmp_path / "lock.txt"
    folder.mkdir()
    lock.write_text("ioh==0.3.22\n")
    monkeypatch.setattr(bench_search.subprocess, "run", pip)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert prepare(folder, lock) == "ERROR: no matching distribution"
    assert str(folder) not in sys.path
    assert prepare(folder, lock) == prepare(folder, lock) == ""
    assert len(calls) == 2 and "--no-deps" in calls[0]
    assert sys.path[-1] == str(folder)
    lock.write_text("ioh==0.3.23\n")
    answers.append(0)
    prepare(folder, lock)
    assert len(calls) == 3


def test_peers_and_problems_are_locked():
    locked = {line.split("==")[0] for line in LOCK.read_text().splitlines() if "==" in line}
    assert {kind.package for kind in plan.PEERS.values()} | {"ioh"} <= locked


def test_the_benchmark_runs_prints_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(bench_search, "prepare", lambda: "no network")
    monkeypatch.setattr(bench_search, "RUNS", tmp_path / "runs.jsonl")
    monkeypatch.setattr(bench_search, "present", lambda _: (["random"], {SA: "not there"}))
    written: dict[str, object] = {}
    monkeypatch.setattr(bench_search, "report", lambda name, found: written.update({name: list(found)}))
    arguments = ["--quick", "--problems", suites.SIX[0], "glass", "--budget", "1000", "--processes", "1"]
    assert bench_search.main(arguments) == 0
    first = capsys.readouterr().out
    assert "without IOHprofiler's problems and the peers: no network" in first
    assert f"left out, not there: {SA}" in first
    assert "2 searches, 0 of them finished before" in first
    kept = Kept(tmp_path / "runs.jsonl")
    assert all(kept.get(Job(method="random", problem=name, budget=SHORT, seed=0)) for name in (suites.SIX[0], GLASS))
    assert bench_search.main(arguments) == 0
    assert "2 searches, 2 of them finished before" in capsys.readouterr().out
    assert json.dumps(written["search"]).count('"metric"') == len(KNOWN)
