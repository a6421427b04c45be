"""The sweep: equal digests by every way of running, three waves, and work that is shared."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator import backend
from orchestrator.backend import InProcessBackend, RunSettings
from orchestrator.journal import Journal
from orchestrator.outcome import JOURNAL, best_on_validation
from orchestrator.records import CellRow
from orchestrator.runtime import Connection
from orchestrator.work import Block
from sim_core.control import ControllerRecord
from sim_core.seeding import canonical_json


def board(result: Any) -> str:
    return canonical_json(result.leaderboard.to_json())


def stop_at(patch: pytest.MonkeyPatch, generations: int) -> None:
    """Interrupt the sweep when so many generations are journalled."""
    put, done = Journal.put_generation, [0]

    def counted(self: Journal, generation: Any) -> None:
        put(self, generation)
        done[0] += 1
        if done[0] == generations:
            raise KeyboardInterrupt

    patch.setattr(Journal, "put_generation", counted)


# ------------------------------------------------------------------------------------------------ equal digests


def test_counts_of_a_whole_run(finished: Any, bench: Any) -> None:
    result = finished.result
    assert (result.cells, result.simulated, result.reused, result.failed) == (bench.cells, bench.cells, 0, 0)
    assert sorted(row.name for row in result.leaderboard.rows) == ["linear", "random", "reference"]
    assert all(row.n == 4 for row in result.leaderboard.rows)


@pytest.mark.parametrize("workers", [1, 2])
def test_ray_gives_the_digest_and_leaderboard_of_one_process(
    ray_runtime: Connection, bench: Any, finished: Any, tmp_path: Path, workers: int
) -> None:
    result = bench.run(tmp_path, settings=RunSettings(workers=workers))
    assert (result.cells, result.simulated, result.failed) == (bench.cells, bench.cells, 0)
    assert result.digest == finished.result.digest
    assert board(result) == board(finished.result)


def test_another_suite_seed_gives_another_digest(bench: Any, finished: Any, tmp_path: Path) -> None:
    result = bench.run(tmp_path, bench.tree(seed=8))
    assert result.digest != finished.result.digest
    assert result.simulated == bench.cells


class BackwardsBackend(InProcessBackend):
    """Everything in another order and in other portions: the last search first, one cell a block, the last first."""

    workers = 7

    def searches(self, jobs: Any, known: Any, on_generation: Any) -> None:
        super().searches(list(reversed(jobs)), known, on_generation)

    def blocks(self, work: Sequence[Block], on_table: Callable[[Block, Any], None]) -> None:
        cells = [cell for block in work for cell in block.cells]
        super().blocks([Block(cells=(cell,)) for cell in reversed(cells)], on_table)


def check_order_of_arrival_does_not_count(bench: Any, folder: Path, patch: pytest.MonkeyPatch) -> None:
    forwards = bench.run(folder / "forwards")
    patch.setattr(backend, "InProcessBackend", BackwardsBackend)
    backwards = bench.run(folder / "backwards")
    assert backwards.simulated == bench.cells
    assert backwards.digest == forwards.digest
    assert board(backwards) == board(forwards)


def test_the_order_of_arrival_does_not_count(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_order_of_arrival_does_not_count(bench, tmp_path, monkeypatch)


def test_a_digest_made_in_order_of_arrival_fails_that_check(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    def by_arrival(self: Journal, keys: Any) -> str:
        wanted, result = set(keys), hashlib.sha256()
        with sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True) as connection:
            for key, body in connection.execute("SELECT key, body FROM records ORDER BY rowid"):
                if key in wanted:
                    result.update(f"{key}{body}".encode())
        connection.close()
        return result.hexdigest()

    monkeypatch.setattr(Journal, "digest", by_arrival)
    with pytest.raises(AssertionError):
        check_order_of_arrival_does_not_count(bench, tmp_path, monkeypatch)


# ------------------------------------------------------------------------------------------------ shared work


def test_entries_with_equal_controllers_share_their_runs(
    bench: Any, tmp_path: Path, simulated: list[tuple[str, str]]
) -> None:
    tree = bench.tree()
    fixed = {"controller": "compliance_base_stock", "parameters": {"plant_cover": 0.4}}
    tree["entries"] = [
        {"name": "reference", **fixed},
        {"name": "twin", **fixed},
        {"name": "linear", "controller": "linear"},
    ]
    result = bench.run(tmp_path, tree)
    assert result.cells == result.simulated == 8
    assert len(simulated) == len(set(simulated)) == 8
    costs = {row.name: row.cost for row in result.leaderboard.rows}
    assert costs["twin"] == costs["reference"] != costs["linear"]


def test_entries_with_equal_searches_search_once(
    bench: Any, tmp_path: Path, simulated: list[tuple[str, str]], finished: Any
) -> None:
    tree = bench.tree()
    tree["entries"].append({**tree["entries"][2], "name": "again"})
    result = bench.run(tmp_path, tree)
    assert result.simulated == bench.cells == len(simulated)
    rows = {row.name: row for row in result.leaderboard.rows}
    assert rows["again"].controller == rows["random"].controller


def test_an_entrys_name_is_in_no_key_and_no_digest(
    bench: Any, tmp_path: Path, finished: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = bench.tree()
    tree["entries"][2]["name"] = "renamed"
    stop_at(monkeypatch, 4)
    with pytest.raises(KeyboardInterrupt):
        bench.run(tmp_path)
    monkeypatch.undo()
    result = bench.run(tmp_path, tree)
    assert result.reused > 0
    assert result.digest == finished.result.digest


def test_a_changed_search_keeps_what_the_others_did(bench: Any, tmp_path: Path) -> None:
    bench.run(tmp_path)
    tree = bench.tree()
    tree["entries"][2]["search"]["seed"] = 2
    result = bench.run(tmp_path, tree)
    # The new search, its finalists on validation, its winner on test, unless the old search found the same ones.
    assert result.cells == bench.cells and 20 < result.simulated <= 20 + 4 + 4


# ------------------------------------------------------------------------------------------------ the choice

FIRST, SECOND, THIRD = (ControllerRecord(kind="linear", parameters={"cover": cover}) for cover in (1.0, 2.0, 3.0))


def chosen(bench: Any, costs: dict[str, Sequence[float | None]], records: Sequence[ControllerRecord]) -> Any:
    """Choose between controllers whose validation runs cost this much; None is a failed run."""
    plan = bench.plan()
    rows: dict[str, CellRow] = {}
    for record in records:
        cells = [cell for cell in plan.choice_cells(records) if cell.controller.digest == record.digest]
        for cell, cost in zip(cells, costs[record.digest], strict=True):
            rows[cell.key] = CellRow(
                key=cell.key,
                controller=record.digest,
                scenario=cell.scenario,
                family="",
                status="failed" if cost is None else "ok",
                message="" if cost is not None else "ValueError: no",
                metrics={} if cost is None else {"objective": cost},
            )
    return best_on_validation(plan, records, rows)


@pytest.mark.parametrize(
    ("first", "second", "third", "best"),
    [
        ([3.0, 3.0], [1.0, 4.0], [2.0, 3.5], SECOND),  # the lowest mean
        ([2.0, 2.0], [1.0, 3.0], [3.0, 1.0], FIRST),  # ties: the earlier finalist
        ([9.0, 9.0], [2.0, 2.0], [1.0, 3.0], SECOND),
        ([None, 0.0], [5.0, 5.0], [6.0, 4.5], SECOND),  # a failed run never wins
        ([None, 0.0], [None, None], [9.0, 9.0], THIRD),
        ([None, 9.0], [0.0, None], [None, 0.0], FIRST),  # all failed somewhere: the search's best
        ([-1.0, -3.0], [-2.0, -2.5], [0.0, 0.0], SECOND),
    ],
)
def test_the_choice_is_the_lowest_mean_on_validation(
    bench: Any,
    first: list[float | None],
    second: list[float | None],
    third: list[float | None],
    best: ControllerRecord,
) -> None:
    costs = {FIRST.digest: first, SECOND.digest: second, THIRD.digest: third}
    record, means = chosen(bench, costs, [FIRST, SECOND, THIRD])
    assert record == best
    for digest, values in costs.items():
        assert means[digest] == (
            None if None in values else pytest.approx(np.mean([v for v in values if v is not None]))
        )


def test_a_single_finalist_is_chosen_unseen(bench: Any) -> None:
    record, means = best_on_validation(bench.plan(), [SECOND], {})
    assert record == SECOND and means == {SECOND.digest: None}


def test_the_choice_is_journalled_and_scored(bench: Any, finished: Any) -> None:
    plan = bench.plan()
    rows = {row.name: row for row in finished.result.leaderboard.rows}
    with Journal(finished.results / JOURNAL, read_only=True) as journal:
        for name, (job,) in plan.searches.items():
            finalists = journal.generations(job.search)[-1].finalists
            assert len(finalists) == job.finalists
            choice = journal.choice(plan.choice_key(name, finalists))
            assert choice is not None
            runs = journal.cells(cell.key for cell in plan.choice_cells(finalists))
            record, means = best_on_validation(plan, finalists, runs)
            assert choice == {"controller": record.to_json(), "means": means}
            assert rows[name].controller == record.digest
            test_rows = journal.cells(cell.key for cell in plan.score_cells(record))
            assert rows[name].cost == pytest.approx(np.mean([row.metrics["objective"] for row in test_rows.values()]))
