"""One search: whole generations, known values looked up, failures as values, finalists at the end."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from orchestrator import shard as shards
from orchestrator.plan import known_values
from orchestrator.records import CandidateValue, CellRow, Generation
from orchestrator.search_trial import SearchTrial
from orchestrator.shard import Shard
from orchestrator.tables import rows, table
from orchestrator.work import Block, Cell, SearchJob
from sim_core.errors import BalanceError
from sim_core.seeding import canonical_json, content_id
from sim_core.suite import SuiteDefinition

LIMIT = 50  # generations after which a search counts as endless


class Runner:
    """Stands for shards: J is a number that follows from the cell. `fails` says which cells fail, and with what."""

    def __init__(self, fails: Callable[[Cell], str] = lambda _: "") -> None:
        self.calls: list[list[Block]] = []
        self.fails = fails

    def __call__(self, blocks: Sequence[Block]) -> list[pa.Table]:
        self.calls.append(list(blocks))
        return [table([self.row(cell) for cell in block.cells]) for block in blocks]

    def row(self, cell: Cell) -> CellRow:
        message = self.fails(cell)
        metrics = {} if message else {"objective": objective(cell)}
        return CellRow(
            key=cell.key,
            controller=cell.controller.digest,
            scenario=cell.scenario,
            family=cell.scenario.rpartition("/")[0],
            status="failed" if message else "ok",
            message=message,
            metrics=metrics,
        )

    @property
    def cells(self) -> list[Cell]:
        return [cell for blocks in self.calls for block in blocks for cell in block.cells]


ROW = Runner.row


def objective(cell: Cell) -> float:
    return int(content_id(cell.scenario, cell.controller.digest)[:12], 16) / 1e6


def search(
    job: SearchJob, suite: SuiteDefinition, run: Any, known: Mapping[str, CandidateValue] | None = None
) -> list[Generation]:
    trial = SearchTrial(job, suite, known or {}, run)
    generations: list[Generation] = []
    while not generations or not generations[-1].last:
        assert len(generations) < LIMIT, "the search does not end"
        generations.append(trial.step())
    return generations


@pytest.fixture(params=["reference", "random"])
def entry(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def job(bench: Any, entry: str) -> SearchJob:
    return bench.plan().searches[entry][0]


@pytest.fixture
def suite(bench: Any) -> SuiteDefinition:
    return bench.plan().suite


@pytest.mark.parametrize(
    ("budget", "width", "sizes"),
    [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 4, [3]), (1, 1, [1]), (9, 2, [2, 2, 2, 2, 1])],
)
def test_a_search_spends_its_budget_in_whole_generations(
    job: SearchJob, suite: SuiteDefinition, budget: int, width: int, sizes: list[int]
) -> None:
    runner = Runner()
    generations = search(replace(job, budget=budget, width=width), suite, runner)
    assert [len(generation.values) for generation in generations] == sizes
    assert [generation.index for generation in generations] == list(range(len(sizes)))
    assert [generation.simulated for generation in generations] == [size * len(job.scenarios) for size in sizes]
    assert len(runner.cells) == budget * len(job.scenarios)
    assert {generation.search for generation in generations} == {job.search}


def test_finalists_come_with_the_last_generation_only_best_first(job: SearchJob, suite: SuiteDefinition) -> None:
    runner = Runner()
    generations = search(replace(job, finalists=3), suite, runner)
    assert [len(generation.finalists) for generation in generations] == [0, 0, 3]
    controllers = {cell.key.partition("/")[0]: cell.controller for cell in runner.cells}
    means = {value.candidate: value.value for generation in generations for value in generation.values}
    best = sorted(means, key=lambda key: means[key])[:3]
    assert [record.digest for record in generations[-1].finalists] == [controllers[key].digest for key in best]


def test_a_value_is_the_mean_over_the_common_scenarios(job: SearchJob, suite: SuiteDefinition) -> None:
    runner = Runner()
    first = search(job, suite, runner)[0]
    for value in first.values:
        cells = [cell for cell in runner.cells if cell.key.startswith(value.candidate)]
        costs = np.array([objective(cell) for cell in cells])
        assert tuple(cell.scenario for cell in cells) == job.scenarios
        assert value.value == pytest.approx(costs.mean(), rel=1e-15)
        assert value.standard_error == pytest.approx(costs.std(ddof=1) / np.sqrt(len(costs)), rel=1e-12)
        assert value.n == len(job.scenarios) and not value.message


def test_one_scenario_gives_no_standard_error(job: SearchJob, suite: SuiteDefinition) -> None:
    for generation in search(replace(job, scenarios=job.scenarios[:1]), suite, Runner()):
        assert all(value.standard_error is None and value.n == 1 for value in generation.values)


def test_values_do_not_depend_on_how_many_actors_share_a_generation(job: SearchJob, suite: SuiteDefinition) -> None:
    alone, shared = Runner(), Runner()
    expected = search(job, suite, alone)
    assert search(replace(job, actors=3), suite, shared) == expected
    assert [len(blocks) for blocks in alone.calls] == [1, 1, 1]
    assert [len(blocks) for blocks in shared.calls] == [3, 3, 2]
    # A candidate's scenarios stay together.
    for block in (block for blocks in shared.calls for block in blocks):
        assert len(block.cells) % len(job.scenarios) == 0


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_known_values_are_looked_up_and_the_search_goes_the_same_way(
    job: SearchJob, suite: SuiteDefinition, done: int
) -> None:
    undisturbed = search(job, suite, Runner())
    known, runner = known_values(undisturbed[:done]), Runner()
    resumed = search(job, suite, runner, known)
    assert [generation.body() for generation in resumed] == [generation.body() for generation in undisturbed]
    assert [generation.simulated for generation in resumed[:done]] == [0] * done
    assert [generation.simulated for generation in resumed[done:]] == [
        generation.simulated for generation in undisturbed[done:]
    ]
    assert not {cell.key.partition("/")[0] for cell in runner.cells} & set(known)


def test_a_half_known_generation_simulates_the_other_half(job: SearchJob, suite: SuiteDefinition) -> None:
    undisturbed, runner = search(job, suite, Runner()), Runner()
    known = {value.candidate: value for value in undisturbed[0].values[::2]}
    resumed = search(job, suite, runner, known)
    assert [generation.body() for generation in resumed] == [generation.body() for generation in undisturbed]
    assert resumed[0].simulated == 2 * len(job.scenarios)
    assert [block.cells[0].key.partition("/")[0] for block in runner.calls[0]] == [undisturbed[0].values[1].candidate]


def test_a_known_failure_is_not_tried_again(job: SearchJob, suite: SuiteDefinition) -> None:
    first = search(job, suite, Runner())[0].values[0]
    failed = CandidateValue(
        candidate=first.candidate, value=None, standard_error=None, n=2, violation=0.0, message="no"
    )
    runner = Runner()
    generations = search(job, suite, runner, {first.candidate: failed})
    assert generations[0].values[0] == failed
    assert not any(cell.key.startswith(first.candidate) for cell in runner.cells)


def test_a_failed_evaluation_is_a_value_and_never_a_finalist(job: SearchJob, suite: SuiteDefinition) -> None:
    # Every controller with an even digest fails on one of its scenarios; without failures some of them would win.
    def fails(cell: Cell) -> str:
        bad = int(cell.controller.digest[-1], 16) % 2 == 0 and cell.scenario == job.scenarios[0]
        return "ValueError: no such target" if bad else ""

    runner = Runner(fails)
    generations = search(replace(job, finalists=10), suite, runner)
    values = [value for generation in generations for value in generation.values]
    failed = {value.candidate for value in values if value.value is None}
    assert len(values) == job.budget and 0 < len(failed) < job.budget
    assert {value.message for value in values if value.value is None} == {"ValueError: no such target"}
    controllers = {cell.controller.digest: cell.key.partition("/")[0] for cell in runner.cells}
    finalists = [controllers[record.digest] for record in generations[-1].finalists]
    assert len(finalists) == job.budget - len(failed) and not set(finalists) & failed


def test_an_objective_that_is_not_finite_is_a_failed_evaluation(
    job: SearchJob, suite: SuiteDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner()
    row = runner.row
    monkeypatch.setattr(runner, "row", lambda cell: replace(row(cell), metrics={"objective": None}))
    trial = SearchTrial(job, suite, {}, runner)
    assert {value.message for value in trial.step().values} == {"the objective is not finite"}


def test_a_search_whose_every_evaluation_fails_ends(job: SearchJob, suite: SuiteDefinition) -> None:
    generations = search(job, suite, Runner(lambda _: "ValueError: nothing works"))
    assert sum(len(generation.values) for generation in generations) == job.budget
    assert [generation.last for generation in generations] == [False, False, True]
    # What was asked first stands for the Entry, so that its failures show on the leaderboard.
    assert len(generations[-1].finalists) == 1


def test_a_controller_that_raises_is_a_value_in_a_real_shard(
    bench: Any, suite: SuiteDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = replace(bench.plan().searches["random"][0], budget=3, width=3)
    build = shards.build

    def fragile(layout: Any, records: Any) -> Any:
        if any(record.parameters["targets"][0] < 0.31 for record in records):
            raise ValueError("too little")
        return build(layout, records)

    shard = Shard(suite)
    whole = search(job, suite, lambda blocks: [shard.run(block) for block in blocks])
    monkeypatch.setattr(shards, "build", fragile)
    generations = search(job, suite, lambda blocks: [shard.run(block) for block in blocks])
    for value, undisturbed in zip(generations[0].values, whole[0].values, strict=True):
        assert value == undisturbed or value.message == "ValueError: too little"
    assert {value.value is None for value in generations[0].values} == {True, False}


def test_a_broken_balance_is_no_value(job: SearchJob, suite: SuiteDefinition) -> None:
    def broken(blocks: Sequence[Block]) -> list[pa.Table]:
        raise BalanceError(f"run {blocks[0].cells[0].key}: 1 kg of cobalt appeared")

    with pytest.raises(BalanceError, match="cobalt"):
        SearchTrial(job, suite, {}, broken).step()


def test_a_value_is_what_a_shard_computes_alone(bench: Any, suite: SuiteDefinition) -> None:
    job = replace(bench.plan().searches["random"][0], budget=2, width=2)
    runner = Runner()
    search(job, suite, runner)
    candidates = {cell.key.partition("/")[0]: cell.controller for cell in runner.cells}
    shard = Shard(suite)
    (generation,) = search(job, suite, lambda blocks: [shard.run(block) for block in blocks])
    for value in generation.values:
        cells = [Cell(key=name, scenario=name, controller=candidates[value.candidate]) for name in job.scenarios]
        alone = [rows(Shard(suite).run(Block(cells=(cell,))))[0].metrics["objective"] for cell in cells]
        assert value.value == float(np.array(alone).mean())


@pytest.mark.parametrize("failing", [False, True])
def test_a_generation_of_64_stays_below_32_kilobytes(bench: Any, failing: bool) -> None:
    plan = bench.plan(bench.tree(network="regional", scored=240))
    runner = Runner(lambda cell: "ModelError: " + "x" * 500 if failing and cell.controller.digest[-1] != "0" else "")
    job = replace(
        plan.searches["random"][0], budget=128, width=64, finalists=4, scenarios=plan.suite.scenarios("train")
    )
    for generation in search(job, plan.suite, runner):
        body = canonical_json(generation.body())
        assert len(generation.values) == 64 and len(body) <= 32 * 1024
        assert Generation.from_body(json.loads(body)).body() == generation.body()


def test_a_method_for_several_objectives_is_told_cost_carbon_and_circularity(
    job: SearchJob, suite: SuiteDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Runner,
        "row",
        lambda self, cell: replace(
            ROW(self, cell), metrics={"objective": objective(cell), "carbon": 7.0, "circularity": 0.25}
        ),
    )
    several = replace(job, method="decomposition")
    found = search(several, suite, Runner())
    for value in found[0].values:
        assert value.objectives == (value.value, 7.0, -0.25)
    known = known_values([Generation.from_body(one.body()) for one in found])
    assert [one.body() for one in search(several, suite, Runner(), known)] == [one.body() for one in found]
    assert all(value.objectives == () for value in search(job, suite, Runner())[0].values)
