"""The leaderboard: what it ranks by, what it pairs, and that nothing but the cells' content moves it."""

import json
import random
from collections.abc import Sequence

import numpy as np
import pytest

from orchestrator.leaderboard import EntryCells, Leaderboard, build_leaderboard
from orchestrator.records import CellRow
from orchestrator.statistics import ScenarioBootstrap
from sim_core.control import ControllerRecord
from sim_core.errors import InputError, IntegrityError

N = 32
CONTRACT = {
    "name",
    "rank",
    "score",
    "cost",
    "cost_diff",
    "cost_diff_lo",
    "cost_diff_hi",
    "carbon",
    "circularity",
    "compliance",
    "n",
}
_EFFECT = np.random.Generator(np.random.Philox(1)).normal(loc=1000.0, scale=100.0, size=N)


def cell(
    entry: str, index: int, objective: float, *, replication: int = 0, ok: bool = True, **metrics: float | None
) -> CellRow:
    family = f"family{index % 2}"
    return CellRow(
        key=f"{entry}/{index}/{replication}",
        controller=entry,
        scenario=f"{family}/{index // 2}",
        family=family,
        status="ok" if ok else "failed",
        message="" if ok else "it raised",
        metrics={"objective": objective, "shortfall_charge": 0.0, **metrics} if ok else {},
    )


def entry(name: str, shift: float, *, failed: Sequence[int] = (), **metrics: float | None) -> EntryCells:
    noise = np.random.Generator(np.random.Philox(len(name) + ord(name[0]))).normal(size=N)
    cells = [
        cell(name, i, float(_EFFECT[i] + shift + noise[i]), ok=i not in failed, replication=0, **metrics)
        for i in range(N)
    ]
    return EntryCells(name=name, controller=ControllerRecord(kind=name), cells=tuple(cells))


def build(*entries: EntryCells, reference: str = "reference") -> Leaderboard:
    return build_leaderboard(entries, reference=reference, seed=3, resamples=500, confidence=0.95, digest="d1")


REFERENCE = entry("reference", 0.0, carbon=2.0)
SEARCHED = entry("searched", -10.0, carbon=1.0, compliance=None)
RANDOM = entry("random", 4.0, carbon=3.0, circularity=0.5)


def test_the_machine_contract() -> None:
    board = build(REFERENCE, SEARCHED, RANDOM)
    value = json.loads(json.dumps(board.to_json(), allow_nan=False))
    assert set(value) >= {"digest", "entries", "bounded", "scored", "unbounded", "no_headroom", "ladder"}
    assert (value["bounded"], value["ladder"], value["bound_cost"]) == (0, [], None)
    assert value["digest"] == "d1"
    assert [row["name"] for row in value["entries"]] == ["searched", "reference", "random"]
    assert [row["rank"] for row in value["entries"]] == [1, 2, 3]
    for row in value["entries"]:
        assert set(row) >= CONTRACT
        assert row["score"] is None
        assert row["n"] == N
    best, reference, worst = value["entries"]
    assert best["cost_diff_lo"] < best["cost_diff"] < best["cost_diff_hi"] < 0.0
    assert best["cost_diff"] == pytest.approx(best["cost"] - reference["cost"])
    assert (reference["cost_diff"], reference["cost_diff_lo"], reference["cost_diff_hi"]) == (0.0, 0.0, 0.0)
    assert (best["carbon"], reference["carbon"], worst["carbon"]) == (1.0, 2.0, 3.0)
    assert (best["circularity"], worst["circularity"], best["compliance"]) == (None, 0.5, None)
    assert best["cost_lo"] < best["cost"] < best["cost_hi"]
    assert (best["rank_lo"], best["rank_hi"], best["tied"], best["probability_of_improvement"]) == (1, 1, False, 1.0)
    assert best["controller"] == SEARCHED.controller.digest


def test_order_of_entries_and_cells_moves_nothing() -> None:
    dice = random.Random(5)
    shuffled = [
        EntryCells(name=one.name, controller=one.controller, cells=tuple(dice.sample(one.cells, N)))
        for one in (RANDOM, REFERENCE, SEARCHED)
    ]
    first, second = build(REFERENCE, SEARCHED, RANDOM), build(*shuffled)
    assert json.dumps(first.to_json()) == json.dumps(second.to_json())
    assert first.versus("random") == second.versus("random")


def test_any_entry_may_be_the_other_side() -> None:
    found = build(REFERENCE, SEARCHED, RANDOM).versus("random")
    assert list(found) == ["searched", "reference", "random"]
    searched, same = found["searched"], found["random"]
    assert searched is not None
    assert searched.high is not None
    assert searched.estimate == pytest.approx(-14.0, abs=1.0)
    assert searched.high < 0.0
    assert same is not None
    assert (same.estimate, same.low, same.high, same.n) == (0.0, 0.0, 0.0, N)
    with pytest.raises(InputError, match=r"no Entry 'linear'.*'random'"):
        build(REFERENCE, SEARCHED, RANDOM).versus("linear")


def test_differences_are_paired() -> None:
    """Scenarios spread by 100; were the difference unpaired, its interval would be some 100 wide."""
    row = build(REFERENCE, SEARCHED).rows[0]
    assert row.cost_diff_hi is not None
    assert row.cost_diff_lo is not None
    assert row.cost_diff_hi - row.cost_diff_lo < 2.0
    assert row.cost_hi is not None
    assert row.cost_lo is not None
    assert row.cost_hi - row.cost_lo > 40.0


def test_replications_are_no_scenarios() -> None:
    """Repeating each run changes nothing: there are as many scenarios as before."""
    doubled = [
        EntryCells(
            name=one.name,
            controller=one.controller,
            cells=one.cells
            + tuple(cell(one.name, i, c.metrics["objective"] or 0.0, replication=1) for i, c in enumerate(one.cells)),
        )
        for one in (entry("reference", 0.0), entry("searched", -10.0))
    ]
    assert build(*doubled).to_json() == build(entry("reference", 0.0), entry("searched", -10.0)).to_json()


def test_the_reference_must_be_there_and_names_differ() -> None:
    with pytest.raises(InputError, match=r"reference Entry 'reference' is missing.*\['searched', 'random'\]"):
        build(SEARCHED, RANDOM)
    with pytest.raises(InputError, match="names must differ"):
        build(REFERENCE, SEARCHED, SEARCHED)


def test_failing_where_it_is_expensive_does_not_pay() -> None:
    dear = [int(i) for i in np.argsort(_EFFECT)[-N // 2 :]]
    dodger = entry("dodger", -10.0, failed=dear)
    lost = entry("lost", -10.0, failed=range(N))
    board = build(lost, dodger, REFERENCE, RANDOM)
    assert [row.name for row in board.rows] == ["reference", "random", "dodger", "lost"]
    assert [(row.rank_lo, row.rank_hi) for row in board.rows] == [(1, 1), (2, 2), (3, 3), (4, 4)]
    row = board.rows[2]
    assert (row.n, row.n_ok, row.failed) == (N // 2, N // 2, N // 2)
    assert row.cost_diff == pytest.approx(-10.0, abs=1.0)
    assert row.cost is not None
    assert board.rows[0].cost is not None
    assert row.cost < board.rows[0].cost - 50.0  # what ranking by its mean would have made of it
    nothing = board.rows[3].to_json()
    assert {nothing[name] for name in CONTRACT - {"name", "rank", "n"}} == {None}
    assert (nothing["n"], nothing["failed"], nothing["per_family"]) == (0, N, {})
    assert board.versus("lost")["reference"] is None


def test_a_failed_reference_leaves_costs_without_differences() -> None:
    board = build(entry("reference", 0.0, failed=range(N)), SEARCHED)
    assert [(row.name, row.n, row.cost_diff) for row in board.rows] == [("searched", 0, None), ("reference", 0, None)]
    assert board.rows[0].cost is not None
    assert board.rows[0].probability_of_improvement is None


def test_a_scenario_counts_only_when_all_its_replications_ran() -> None:
    extra = EntryCells(
        name="searched",
        controller=SEARCHED.controller,
        cells=(*SEARCHED.cells, cell("searched", 0, 0.0, replication=1, ok=False)),
    )
    row = next(row for row in build(REFERENCE, extra).rows if row.name == "searched")
    assert (row.n, row.n_ok, row.failed) == (N - 1, N - 1, 1)


def test_an_ok_run_without_objective_is_a_broken_promise() -> None:
    broken = EntryCells(
        name="broken",
        controller=ControllerRecord(kind="k"),
        cells=(CellRow(key="k1", controller="c", scenario="f/1", family="f", status="ok", message="", metrics={}),),
    )
    with pytest.raises(IntegrityError, match=r"run k1 \(broken, f/1\) is ok but has no objective"):
        build(REFERENCE, broken)


def test_ties_are_marked_against_the_one_above() -> None:
    twin = EntryCells(name="twin", controller=REFERENCE.controller, cells=REFERENCE.cells)
    near = entry("near", 0.0)
    board = build(REFERENCE, twin, near, SEARCHED)
    assert board.rows[0].name == "searched"
    assert [row.tied for row in board.rows] == [False, False, True, True]
    by_name = {row.name: row for row in board.rows}
    assert by_name["twin"].rank == by_name["reference"].rank + 1  # equal costs rank by name
    assert by_name["twin"].rank_lo == by_name["reference"].rank_lo <= by_name["reference"].rank
    assert by_name["twin"].probability_of_improvement == 0.5


def test_half_and_double_the_price_of_a_shortfall() -> None:
    """A cheap entry that pays for shortfalls falls behind when they cost more."""
    cheat = entry("cheat", -10.0, shortfall_charge=20.0)
    board = build(REFERENCE, cheat)
    row = board.rows[0]
    assert row.name == "cheat"
    assert row.cost is not None
    assert (row.cost_half_price, row.cost_double_price) == (row.cost - 10.0, row.cost + 20.0)
    assert [(r.rank, r.rank_half_price, r.rank_double_price) for r in board.rows] == [(1, 1, 2), (2, 2, 1)]
    assert row.to_json()["shortfall_charge"] == 20.0
    unknown = build(REFERENCE, entry("unknown", -10.0, shortfall_charge=None)).rows[0]
    assert (unknown.cost_half_price, unknown.rank_half_price, unknown.rank_double_price) == (None, 2, 2)


def test_differences_per_family() -> None:
    board = build(REFERENCE, SEARCHED)
    families = board.rows[0].per_family
    assert list(families) == ["family0", "family1"]
    assert [family["n"] for family in families.values()] == [N // 2, N // 2]
    halves = [family["cost_diff"] for family in families.values()]
    assert board.rows[0].cost_diff == pytest.approx(sum(half for half in halves if half is not None) / 2)


def test_the_bootstrap_is_that_of_the_statistics() -> None:
    row = build(REFERENCE, SEARCHED).rows[0]
    order = sorted(range(N), key=lambda i: SEARCHED.cells[i].scenario)
    differences = np.array(
        [
            (SEARCHED.cells[i].metrics["objective"] or 0.0) - (REFERENCE.cells[i].metrics["objective"] or 0.0)
            for i in order
        ]
    )
    expected = ScenarioBootstrap(seed=3, resamples=500, confidence=0.95).interval(differences)
    assert (row.cost_diff, row.cost_diff_lo, row.cost_diff_hi) == (expected.estimate, expected.low, expected.high)
