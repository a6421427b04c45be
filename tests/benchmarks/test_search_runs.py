import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.search import execute, fronts, noise, runs, suites
from benchmarks.search.methods import Ours
from benchmarks.search.noise import ESTIMATORS, Estimator, by_scenario, shocks
from benchmarks.search.runs import Job, Kept, Run, code
from benchmarks.search.schedules import front, published, solve
from optimizers.contract import Candidate, Evaluation

NK, SCHEDULE = "nk96k4#1", "sched24x8#2"


def job(**changes: object) -> Job:
    told: dict[str, object] = {"method": "random", "problem": NK, "budget": 50, "seed": 0}
    return Job(**(told | changes))  # pyright: ignore[reportArgumentType]


def run_of(one: Job, score: float = 0.5) -> Run:
    return Run(job=one, score=score, trace=((1, 0.9), (7, score)), recommended=score, cpu_us=3.0, ask_ms=1.0)


class Counting:
    """A method that proposes what it is given, and notes the sizes of its batches."""

    def __init__(self, bits: np.ndarray) -> None:
        self.bits = bits
        self.batches: list[int] = []
        self.told: list[Evaluation] = []

    def ask(self, n: int) -> list[Candidate]:
        first = sum(self.batches)
        self.batches.append(n)
        return [Candidate(bits=one, values=np.zeros(0)) for one in self.bits[first : first + n]]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        self.told += evaluations

    def recommend(self) -> Candidate:
        return min(self.told, key=lambda one: one.value).candidate

    def front(self) -> list[tuple[Candidate, tuple[float, ...]]]:
        return [(one.candidate, one.objectives) for one in self.told]


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    method = Counting(np.random.default_rng(0).random((100, 24, 8)) < 0.5)

    def start(*_: object) -> Ours:
        return Ours(method)  # pyright: ignore[reportArgumentType]

    for module in (execute.exact, fronts):
        monkeypatch.setattr(module, "start", start)
    monkeypatch.setattr(noise, "ours", start)
    return method


def test_a_search_spends_its_budget_and_notes_each_improvement(counting: Counting):
    run = execute.execute(job(problem=SCHEDULE, budget=40))
    assert counting.batches == [16, 16, 8]
    problem = execute.exact.Masked(problem=published()[0], seed=0)
    regrets = (problem.evaluate(counting.bits[:40], np.zeros((40, 0))) - problem.optimum) / (
        problem.mean_random - problem.optimum
    )
    best = np.minimum.accumulate(regrets)
    expected = [(k + 1, value) for k, value in enumerate(regrets) if k == 0 or value < best[k - 1]]
    assert [at for at, _ in run.trace] == [at for at, _ in expected]
    assert [value for _, value in run.trace] == pytest.approx([value for _, value in expected])
    assert run.score == run.recommended == pytest.approx(best[-1])
    assert [one.value for one in counting.told] == pytest.approx(
        problem.evaluate(counting.bits[:40], np.zeros((40, 0))).tolist()
    )


def test_a_search_is_the_same_each_time_and_its_seed_counts():
    one, again, other = (execute.execute(job(seed=seed, budget=200)) for seed in (3, 3, 4))
    assert (one.score, one.trace, one.fault) == (again.score, again.trace, "")
    assert one.trace != other.trace


def test_a_method_that_raises_is_a_fault():
    run = execute.execute(job(method="no such method"))
    assert run.score is None
    assert "no such method" in run.fault


def test_widths_follow_the_budget_and_sequence_is_one_at_a_time():
    assert [job(budget=budget).width for budget in (1_000, 1_250, 10_000, 100_000)] == [16, 64, 64, 256]
    assert job(method="simulated_annealing", budget=10_000).width == 1


def test_searches_in_processes_are_those_of_one(tmp_path: Path):
    jobs = [job(seed=seed) for seed in range(3)]
    found = {run.job: run.trace for run in execute.execute_all(jobs, processes=2, more_packages=[str(tmp_path)])}
    assert found == {one: execute.execute(one).trace for one in jobs}
    assert list(execute.execute_all([], processes=2)) == []


def test_what_is_kept_is_not_run_again(tmp_path: Path):
    file = tmp_path / "search" / "runs.jsonl"
    kept = Kept(file)
    done, left = job(), job(seed=1)
    kept.add(run_of(done))
    assert kept.missing([done, left, left]) == [left]
    again = Kept(file)
    assert again.get(done) == run_of(done)
    assert again.missing([done, left]) == [left]


def test_a_line_that_was_cut_off_is_run_again(tmp_path: Path):
    file = tmp_path / "runs.jsonl"
    kept = Kept(file)
    kept.add(run_of(job()))
    kept.add(run_of(job(seed=1)))
    text = file.read_text()
    file.write_text(text[: len(text) - 20])
    again = Kept(file)
    assert again.missing([job(), job(seed=1)]) == [job(seed=1)]
    again.add(run_of(job(seed=1)))
    assert Kept(file).missing([job(), job(seed=1)]) == []


def test_runs_of_other_code_are_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "runs.jsonl"
    Kept(file).add(run_of(job()))
    monkeypatch.setattr(runs, "code", lambda _: "other")
    assert Kept(file).missing([job()]) == [job()]


def test_a_digest_covers_what_a_method_imports_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "optimizers"
    folder.mkdir()
    (folder / "one.py").write_text("from optimizers.shared import x\n")
    (folder / "shared.py").write_text("from optimizers.deep import y\n")
    (folder / "deep.py").write_text("from optimizers.missing import z\n")
    (folder / "two.py").write_text("")
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    found = runs._imported(folder / "one.py", set())
    assert {file.name for file in found} == {"one.py", "shared.py", "deep.py"}
    assert code(job(method="random")) != code(job(method="evolution"))


def test_shocks_have_mean_zero_and_are_shared_where_they_should_be():
    common, independent = (Estimator(scenarios=8, common=common, level=30.0) for common in (True, False))
    draws = np.random.default_rng(1)
    bits = np.ones((2, 5, 3), dtype=bool)
    true = np.array([4.0, 4.0])
    same = by_scenario(true, bits, *shocks(common, draws, (), 5, 3))
    apart = by_scenario(true, bits, *shocks(independent, draws, (2,), 5, 3))
    assert same.shape == apart.shape == (2, 8)
    assert np.array_equal(same[0], same[1])
    assert (apart[0] != apart[1]).all()
    large = Estimator(scenarios=40_000, common=True, level=30.0)
    many = by_scenario(true[:1], bits[:1], *shocks(large, draws, (), 5, 3))
    assert many.mean() == pytest.approx(4.0, abs=4 * many.std() / 200)
    # 30 of the level; of each of 3 levers 5 epochs at 0.4 together and 5 at 0.8 apart.
    assert many.var() == pytest.approx(30.0**2 + 3 * (5 * 0.4) ** 2 + 15 * 0.8**2, rel=0.05)


def test_a_noisy_value_by_hand():
    bits = np.array([[[True, False], [True, True]]])
    added = np.array([[[1.0, 2.0], [4.0, 8.0]], [[0.5, 0.0], [0.0, 0.25]]])
    assert by_scenario(np.array([10.0]), bits, np.array([100.0, 200.0]), added).tolist() == [[123.0, 210.75]]


def test_estimates_cost_the_same_scenarios_and_are_scored_by_the_truth(counting: Counting):
    assert {one.budget * one.scenarios for one in ESTIMATORS.values()} == {80_000}
    name = "8 common, level 30"
    run = execute.execute(job(problem=SCHEDULE, budget=20, setting=name))
    problem = execute.exact.Masked(problem=published()[0], seed=0)
    told = min(counting.told, key=lambda one: one.value)
    truth = problem.evaluate(told.candidate.bits[None], np.zeros((1, 0)))[0]
    assert run.score == pytest.approx((truth - problem.optimum) / (problem.mean_random - problem.optimum))
    assert truth != pytest.approx(told.value)
    assert {one.n for one in counting.told} == {8}


def test_area_by_hand():
    reference = np.array([10.0, 10.0])
    points = np.array([[2.0, 6.0], [5.0, 3.0], [6.0, 7.0], [11.0, 0.0], [2.0, 8.0]])
    # [2, 5] x [6, 10] and [5, 10] x [3, 10]; (6, 7) and (2, 8) are dominated, (11, 0) lies outside.
    assert fronts.hypervolume(points, reference) == 3.0 * 4.0 + 5.0 * 7.0
    assert fronts.hypervolume(np.array([[12.0, 1.0]]), reference) == 0.0


def test_the_exact_front_has_all_of_the_area_and_less_of_it_less():
    carbon, cost = front(published()[0].instance)
    points = np.column_stack([cost, carbon])
    assert fronts.share(published()[0], points) == pytest.approx(1.0)
    assert 0.5 < fronts.share(published()[0], points[::5]) < 0.999


def test_a_front_is_scored_by_what_the_method_answers(counting: Counting):
    _, best = solve(published()[0].instance)
    mask = execute.exact.Masked(problem=published()[0], seed=0).flips
    counting.bits[3] = best ^ mask
    run = execute.execute(job(problem=SCHEDULE, budget=20, setting="front"))
    cost, carbon = published()[0].objectives(best[None], np.zeros((1, 0)))
    assert counting.told[3].objectives == (cost[0], carbon[0])
    assert run.score == pytest.approx(fronts.share(published()[0], np.array([one.objectives for one in counting.told])))
    assert execute.execute(job(setting="front")).fault == f"TypeError: {NK} has one objective"


def test_suites_are_complete_and_named_as_their_problems():
    assert (len(suites.FIFTEEN), len(set(suites.FIFTEEN)), len(suites.SIX), len(suites.FURTHER)) == (15, 15, 6, 20)
    assert set(suites.FIFTEEN) | set(suites.FURTHER) <= set(suites.NAMES)
    for name in suites.NAMES:
        if not suites.needs_ioh(name) and "drawn" not in name:
            assert suites.problem(name).name == name
    assert suites.problem("drawn24x8+20c#1").name == "drawn24x8+20c#1"
    assert sum(suites.needs_ioh(name) for name in suites.FIFTEEN) == 7


def test_ours_tells_means_with_their_errors(counting: Counting):
    method = Ours(counting)  # pyright: ignore[reportArgumentType]
    method.ask(1)
    method.tell_means(np.array([[1.0, 3.0, 5.0, 7.0]]))
    told = counting.told[0]
    assert (told.value, told.n) == (4.0, 4)
    assert told.standard_error == pytest.approx(np.sqrt(20.0 / 3.0) / 2.0)


def test_a_run_survives_the_file(tmp_path: Path):
    kept = Kept(tmp_path / "runs.jsonl")
    failed = Run(job=job(setting="front"), score=None, fault="ValueError: no")
    kept.add(failed)
    assert Kept(kept.file).get(failed.job) == failed
    assert dataclasses.asdict(failed)["job"]["setting"] == "front"
