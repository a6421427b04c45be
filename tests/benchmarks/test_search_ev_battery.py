"""The EV-battery suite as a search problem: what its values are, and what is said of it."""

import numpy as np
import pytest

from benchmarks.search import suites
from benchmarks.search.ev_battery import _EXPERIMENT, EvBattery
from benchmarks.search.plan import BEST_OF_SA, EV, FLAGSHIP, FULL, SA, SHORT, USUAL, jobs
from benchmarks.search.results import Results
from benchmarks.search.runs import SUITE, Job, Run
from benchmarks.search.tables import on_suite, sentence
from optimizers.contract import Candidate
from optimizers.control_space import search_space, to_record
from orchestrator.shard import Shard
from orchestrator.spec import load
from orchestrator.tables import rows, without_cpu_seconds
from orchestrator.work import Block, Cell


@pytest.fixture(scope="module")
def problem() -> EvBattery:
    shard = Shard(load(_EXPERIMENT).to_suite())
    scenarios = ("ev_content/0", "ev_trade/1")
    return EvBattery(shard=shard, space=search_space(shard.layout, "schedule"), scenarios=scenarios, optimum=0.0)


def test_a_value_is_the_mean_cost_over_the_scenarios(problem: EvBattery):
    space = problem.space
    draws = np.random.default_rng(1)
    bits = draws.random((3, space.epochs, len(space.levers))) < 0.5
    values = np.stack([np.array(space.start), *draws.random((2, len(space.parameters)))])
    found = problem.evaluate(bits, values)
    for number in range(3):
        record = to_record("schedule", Candidate(bits=bits[number], values=values[number]), space)
        cells = [Cell(key=name, scenario=name, controller=record) for name in problem.scenarios]
        told = rows(without_cpu_seconds(problem.shard.run(Block(cells=tuple(cells))))[0])
        costs = [row.metrics["objective"] for row in told]
        assert found[number] == np.mean(np.array(costs, dtype=float))
    assert len(set(found.tolist())) == 3
    assert bits.flags.writeable  # the caller's arrays stay its own


def runs(method: str, regret: float, budget: int) -> list[Run]:
    found = [Job(method=method, problem=EV, budget=budget, seed=seed, setting=SUITE) for seed in range(7)]
    return [Run(job=job, score=regret * (1.0 + 0.01 * job.seed)) for job in found]


def test_the_tables_and_the_sentence_tell_of_it():
    told = [*runs(FLAGSHIP, 0.05, SHORT), *runs(SA, 0.04, SHORT), *runs(FLAGSHIP, 0.03, USUAL)]
    results = Results([*told, *runs(BEST_OF_SA, 0.06, USUAL)])
    table = {line[:38].strip(): line[38:].split() for line in on_suite(results)}
    assert table[FLAGSHIP][:2] == ["51.5", "30.9"]
    assert table[SA][:2] == ["41.2", "-"]
    assert table[SA][2:] == ["0,", "7,", "1", "-"]
    assert table[BEST_OF_SA][:4] == ["-", "61.8", "-", "7,"]
    said = "\n".join(sentence(results, []))
    assert "loses to sequential SA on the EV-battery suite at 1e3 (0.80x" in said
    assert "beats best-of-16 SA on the EV-battery suite at 1e4 (2.00x" in said


def test_one_candidate_at_a_time_is_not_run_at_1e4_and_ioh_is_not_needed():
    wanted = [job for job in jobs(FULL, (FLAGSHIP, SA)) if job.setting == SUITE]
    assert {(job.method, job.budget) for job in wanted} == {(FLAGSHIP, SHORT), (FLAGSHIP, USUAL), (SA, SHORT)}
    assert not suites.needs_ioh(EV)
