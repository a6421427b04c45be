import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from orchestrator.records import CandidateValue, Generation
from orchestrator.runtime import Connection
from orchestrator.tune_searcher import SearchTrainable, _Delivery, _portable, _Work, run_searches
from orchestrator.work import Block, Cell, SearchJob
from sim_core.control import ControllerRecord
from sim_core.errors import (
    BalanceError,
    InfrastructureError,
    IntegrityError,
    JournalConflictError,
)
from sim_core.seeding import canonical_json
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

SUITE = SuiteDefinition(
    name="tune",
    products=(ProductShare(archetype="ev_battery"),),
    network="small",
    seed=7,
    start="2025-01",
    warm_up=1,
    scored=2,
    run_out=1,
    splits={name: SplitDefinition(families=(name,), scenarios=1) for name in ("train", "validation", "test")},
    shortfall_price={},
)
GENERATIONS = 4
Run = Callable[[Sequence[Block]], list[pa.Table]]


class FakeShard:
    """A cell's value is the number in its key; the column tells which process computed it. `log` lists the cells."""

    def __init__(self, suite: SuiteDefinition, log: str = os.devnull) -> None:
        self.log = Path(log)

    def run(self, block: Block) -> pa.Table:
        with self.log.open("a") as out:
            out.writelines(f"{cell.key}\n" for cell in block.cells)
        numbers = [float(cell.key.rpartition("/")[2]) for cell in block.cells]
        return pa.table({"objective": numbers, "process": [os.getpid()] * len(numbers)})


class FakeTrial:
    """A search whose candidates in generation g are g * width + 0, 1, ...; their value is twice their number."""

    def __init__(self, job: SearchJob, suite: SuiteDefinition, known: Mapping[str, CandidateValue], run: Run) -> None:
        self.job, self.known, self.run = job, known, run
        self.index = 0

    def step(self) -> Generation:
        names = [f"{self.job.search}/{self.index * self.job.width + i}" for i in range(self.job.width)]
        new = [name for name in names if name not in self.known]
        controller = ControllerRecord(kind=self.job.controller)
        blocks = [Block(cells=(Cell(key=name, scenario="train/0", controller=controller),)) for name in new]
        tables = self.run(blocks)
        told = {
            name: CandidateValue(
                candidate=name,
                value=2 * table["objective"][0].as_py(),
                standard_error=0.1,
                n=1,
                violation=0.0,
            )
            for name, table in zip(new, tables, strict=True)
        }
        self.index += 1
        return Generation(
            search=self.job.search,
            index=self.index - 1,
            values=tuple(told.get(name) or self.known[name] for name in names),
            finalists=(controller,) if self.index == GENERATIONS else (),
            simulated=len(new),
        )


class TellsProcesses(FakeTrial):
    """Writes down the processes that computed its candidates."""

    def step(self) -> Generation:
        inner = self.run

        def run(blocks: Sequence[Block]) -> list[pa.Table]:
            tables = inner(blocks)
            with (Path(self.job.method) / "processes").open("a") as out:
                out.writelines(f"{os.getpid()} {table['process'][0].as_py()}\n" for table in tables)
            return tables

        self.run = run
        try:
            return super().step()
        finally:
            self.run = inner


class CrashesOnce(FakeTrial):
    """Ends its process in the third generation, the first time. job.method is a folder for its flag."""

    def step(self) -> Generation:
        flag = Path(self.job.method) / self.job.search
        if self.index == 2 and not flag.exists():
            flag.touch()
            os._exit(1)
        return super().step()


class CrashesAlways(FakeTrial):
    def step(self) -> Generation:
        if self.job.entry == "bad" and self.index == 1:
            os._exit(1)
        return super().step()


class Unbalanced(FakeTrial):
    def step(self) -> Generation:
        if self.index == 1:
            raise BalanceError("run r1: 1 kg of cobalt appeared")
        return super().step()


@pytest.fixture(autouse=True, scope="module")
def by_value() -> Iterator[None]:
    """Workers can't import a test module, so its classes travel as code."""
    from ray import cloudpickle

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


def job(name: str, *, entry: str = "", actors: int = 1, folder: Path | None = None, width: int = 3) -> SearchJob:
    return SearchJob(
        search=name,
        entry=entry or name,
        controller="schedule",
        method=str(folder) if folder else "random",
        budget=GENERATIONS * width,
        width=width,
        seed=1,
        scenarios=("train/0",),
        finalists=1,
        actors=actors,
    )


class Journal:
    """Keeps what arrives, in order."""

    def __init__(self) -> None:
        self.told: dict[str, list[Generation]] = defaultdict(list)

    def __call__(self, generation: Generation) -> None:
        self.told[generation.search].append(generation)

    def bodies(self) -> dict[str, list[dict[str, object]]]:
        return {search: [generation.body() for generation in told] for search, told in sorted(self.told.items())}

    def known(self) -> dict[str, dict[str, CandidateValue]]:
        return {
            search: {value.candidate: value for generation in told for value in generation.values}
            for search, told in self.told.items()
        }


def expected(*jobs: SearchJob) -> dict[str, list[dict[str, object]]]:
    """Run the same searches one after the other, without Ray."""
    journal = Journal()
    shard = FakeShard(SUITE)
    for one in jobs:
        trial = FakeTrial(one, SUITE, {}, lambda blocks: [shard.run(block) for block in blocks])
        for _ in range(GENERATIONS):
            journal(trial.step())
    return journal.bodies()


def test_no_job_needs_no_ray() -> None:
    run_searches([], SUITE, {}, on_generation=lambda _: pytest.fail("nothing to tell"))


@pytest.mark.parametrize("concurrent", [1, 2])
def test_every_generation_arrives_once_and_in_order(ray_runtime: Connection, concurrent: int) -> None:
    jobs = [job(name) for name in ("s1", "s2", "s3", "s4")]
    journal = Journal()
    run_searches(
        jobs, SUITE, {}, on_generation=journal, concurrent=concurrent, make_trial=FakeTrial, make_shard=FakeShard
    )
    assert journal.bodies() == expected(*jobs)
    assert {generation.simulated for told in journal.told.values() for generation in told} == {3}


def test_known_evaluations_are_looked_up(ray_runtime: Connection) -> None:
    one, first = job("s1"), Journal()
    for body in expected(one)["s1"]:
        first(Generation.from_body(body))
    again = Journal()
    run_searches([one], SUITE, first.known(), on_generation=again, make_trial=FakeTrial, make_shard=FakeShard)
    assert again.bodies() == first.bodies()
    assert [generation.simulated for generation in again.told["s1"]] == [0] * GENERATIONS


def test_a_wide_search_spreads_over_the_actors_of_its_trial(ray_runtime: Connection, tmp_path: Path) -> None:
    jobs = [job("s1", actors=2, folder=tmp_path, width=8), job("s2", actors=2, folder=tmp_path, width=8)]
    journal = Journal()
    run_searches(jobs, SUITE, {}, on_generation=journal, make_trial=TellsProcesses, make_shard=FakeShard)
    assert journal.bodies() == expected(*jobs)
    pairs = [line.split() for line in (tmp_path / "processes").read_text().splitlines()]
    trials, shards = ({pair[i] for pair in pairs} for i in (0, 1))
    assert not trials & shards
    assert len(shards) >= 2


def test_a_crashed_search_starts_again_and_simulates_nothing_twice(ray_runtime: Connection, tmp_path: Path) -> None:
    one, journal = job("s1", folder=tmp_path), Journal()
    make_shard = partial(FakeShard, log=str(tmp_path / "log"))
    run_searches([one], SUITE, {}, on_generation=journal, make_trial=CrashesOnce, make_shard=make_shard)
    assert (tmp_path / "s1").exists()
    assert journal.bodies() == expected(one)
    assert (tmp_path / "log").read_text().split() == [f"s1/{i}" for i in range(12)]


def test_a_search_that_always_crashes_is_given_up_and_the_others_end(
    ray_runtime: Connection, capfd: pytest.CaptureFixture[str]
) -> None:
    jobs = [job("s1", entry="bad"), job("s2", entry="good")]
    journal = Journal()
    with pytest.raises(InfrastructureError, match=r"\['bad'\] ended early.*resume"):
        run_searches(jobs, SUITE, {}, on_generation=journal, make_trial=CrashesAlways, make_shard=FakeShard)
    assert journal.bodies() == {"s1": expected(jobs[0])["s1"][:1], **expected(jobs[1])}
    assert capfd.readouterr().err == ""  # what matters is in the exception


def test_an_error_of_a_search_stops_all_and_keeps_its_class(ray_runtime: Connection) -> None:
    journal = Journal()
    with pytest.raises(BalanceError, match="cobalt appeared") as caught:
        run_searches([job("s1")], SUITE, {}, on_generation=journal, make_trial=Unbalanced, make_shard=FakeShard)
    assert type(caught.value) is BalanceError
    assert "in step" in caught.value.__notes__[0]  # the traceback from the worker
    assert [generation.index for generation in journal.told["s1"]] == [0]


def test_an_error_that_cannot_travel_arrives_as_text(ray_runtime: Connection) -> None:
    class TwoArgumentsError(Exception):
        def __init__(self, left: int, right: int) -> None:
            super().__init__(f"{left} is not {right}")

    with pytest.raises(RuntimeError, match="TwoArgumentsError: 1 is not 2"):
        raise _portable(TwoArgumentsError(1, 2))
    kept = _portable(JournalConflictError("other value"))
    assert (type(kept), str(kept)) == (JournalConflictError, "other value")


def conflict() -> None:
    raise JournalConflictError("other value")


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("act", "error"), [(conflict, JournalConflictError), (interrupt, KeyboardInterrupt)])
def test_what_happens_at_the_journal_reaches_the_caller(
    ray_runtime: Connection, act: Callable[[], None], error: type[BaseException]
) -> None:
    told = []

    def receive(generation: Generation) -> None:
        told.append(generation)
        act()

    with pytest.raises(error) as caught:
        run_searches([job("s1")], SUITE, {}, on_generation=receive, make_trial=FakeTrial, make_shard=FakeShard)
    assert type(caught.value) is error
    assert len(told) == 1  # the search did not go on without its journal


def deliver(delivery: _Delivery, body: dict[str, object]) -> dict[str, object]:
    result: dict[str, object] = {"generation": canonical_json(body), "simulated": 3, "done": False}
    delivery.on_trial_result(0, [], None, result)
    return result


def test_a_generation_told_again_is_delivered_once_and_must_be_equal() -> None:
    one, journal = job("s1"), Journal()
    bodies = expected(one)["s1"]
    delivery = _Delivery([one], journal)
    assert "generation" not in deliver(delivery, bodies[0])  # Tune's state keeps no copy
    deliver(delivery, bodies[0])
    deliver(delivery, bodies[1])
    assert journal.bodies()["s1"] == bodies[:2]
    with pytest.raises(JournalConflictError, match="isn't deterministic"):
        deliver(delivery, {**bodies[2], "index": 1})
    with pytest.raises(IntegrityError, match="generation 3 as its number 2"):
        deliver(delivery, bodies[3])


class Recovered:
    """Stands for one of Tune's trials that starts again."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {"job": {"index": 0, "actors": 1}, "work": None, "seen": None}

    def set_config(self, config: dict[str, Any]) -> None:
        self.config = config


def test_a_search_that_starts_again_knows_what_it_told_and_took(ray_runtime: Connection) -> None:
    import ray

    one = job("s1")
    delivery = _Delivery([one], Journal())
    for body in expected(one)["s1"][:2]:
        result: dict[str, Any] = {"generation": canonical_json(body), "simulated": 3, "cpu_s": 1.5, "done": False}
        delivery.on_trial_result(0, [], None, result)
    trial = Recovered()
    delivery.on_trial_recover(0, [], trial)
    seen, spent_s = ray.get(trial.config["seen"])
    assert (sorted(seen), spent_s) == ([f"s1/{i}" for i in range(6)], 3.0)
    work = _Work(jobs=(replace(one, spent_s=2.0),), suite=SUITE, known={}, make_trial=FakeTrial, make_shard=FakeShard)
    trainable = SearchTrainable.__new__(SearchTrainable)
    trainable.setup({**trial.config, "work": ray.put(work)})
    assert (trainable._job.spent_s, trainable._seen) == (5.0, seen)


def test_a_search_without_its_last_generation_is_missing() -> None:
    one = job("s1")
    delivery = _Delivery([one], Journal())
    for body in expected(one)["s1"][:-1]:
        deliver(delivery, body)
    with pytest.raises(InfrastructureError, match=r"\['s1'\] ended early.*no reason"):
        delivery.check_complete([])
    deliver(delivery, expected(one)["s1"][-1])
    delivery.check_complete([])


def test_a_trial_asks_for_the_cpus_it_uses() -> None:
    def bundles(actors: int) -> list[dict[str, float]]:
        return SearchTrainable.default_resource_request({"job": {"index": 0, "actors": actors}}).bundles

    assert bundles(1) == [{"CPU": 1}]
    assert bundles(3) == [{"CPU": 1}] * 3  # and an empty one for the trial itself, which Ray leaves out


def test_a_search_that_cannot_fit_is_refused(ray_runtime: Connection) -> None:
    with pytest.raises(InfrastructureError, match="3 shard actors, but there are 2 CPUs"):
        run_searches([job("s1", actors=3)], SUITE, {}, on_generation=Journal(), make_trial=FakeTrial)
