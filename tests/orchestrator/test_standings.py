"""Compliance, ranks, the foresight ladder and what else a board says, by hand-computed examples with mutants."""

from dataclasses import replace

import numpy as np
import pytest

from orchestrator import score
from orchestrator.score import Compliance
from orchestrator.standings import EntryCells
from sim_core.control import ControllerRecord
from tests.orchestrator.test_score import BOUNDS, ENTRY, REFERENCE, bounds, build, by_name, row, runs

# ------------------------------------------------------------------------------------------------ compliance


def check_compliance_comes_first() -> None:
    cheat = runs("cheat", {name: value - 1.0 for name, value in ENTRY.items() if name != "b/0"} | {"b/0": 20.0})
    cheat = replace(cheat, cells=tuple(replace(c, metrics={**c.metrics, "lacking": 50.0}) for c in cheat.cells))
    board = build(runs("reference", REFERENCE), runs("entry", ENTRY), cheat, bound=bounds())
    found = by_name(board)
    assert found["cheat"].score > found["entry"].score
    assert [one.name for one in board.rows] == ["entry", "reference", "cheat"]
    assert (found["cheat"].compliant, found["entry"].compliant) == (False, True)
    assert found["cheat"].avoidable == pytest.approx(0.05) == found["cheat"].avoidable_hi
    assert (found["cheat"].rank_lo, found["cheat"].rank_hi, found["cheat"].tied) == (3, 3, False)
    assert {(one.rank_half_price, one.rank_double_price) for one in board.rows[2:]} == {(3, 3)}


def test_an_entry_that_complies_ranks_before_a_cheaper_one_that_does_not():
    check_compliance_comes_first()


def test_ranking_by_the_score_alone_fails_that_check(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Compliance, "group", property(lambda _: 0))
    with pytest.raises(AssertionError):
        check_compliance_comes_first()


def test_what_could_not_be_avoided_is_no_fault():
    board = build(runs("reference", REFERENCE, lacking=40.0), bound=bounds(least=40.0))
    assert (board.rows[0].avoidable, board.rows[0].compliant) == (0.0, True)
    mutant = build(runs("reference", REFERENCE, lacking=40.0), bound=bounds(least=0.0))
    assert (mutant.rows[0].avoidable, mutant.rows[0].compliant) == (0.04, False)


def test_the_upper_limit_decides_and_it_is_that_of_a_ratio_of_sums():
    """0.08 % on the whole is within the rule, but it all comes from one scenario in four: the limit is beyond it."""
    names = [f"a/{i}" for i in range(40)]
    costs, lower = dict.fromkeys(names, 10.0), dict.fromkeys(names, 1.0)
    even = runs("reference", costs, lacking=0.8)
    skew = runs("skew", costs)
    cells = [replace(c, metrics={**c.metrics, "lacking": 3.2 * (i % 4 == 0)}) for i, c in enumerate(skew.cells)]
    board = by_name(build(even, replace(skew, cells=tuple(cells)), bound=bounds(lower)))
    assert board["skew"].avoidable == pytest.approx(0.0008) == board["reference"].avoidable
    assert board["reference"].compliant and not board["skew"].compliant
    assert board["skew"].avoidable_hi > score.MOST_AVOIDABLE > board["reference"].avoidable_hi
    # One small scenario that falls short wholly is little of what was due: no mean of ratios.
    small = replace(skew, cells=(row("skew", "a/0", objective=10.0, lacking=1.0, due=1.0), *skew.cells[1:]))
    assert by_name(build(even, small, bound=bounds(lower)))["skew"].avoidable == pytest.approx(1.0 / 39_001.0)


def test_where_nothing_was_due_an_entry_ranks_with_those_that_comply_and_the_unknown_follow():
    nothing = runs("nothing", ENTRY, due=0.0)
    unknown = EntryCells(
        name="unknown",
        controller=ControllerRecord(kind="u"),
        cells=tuple(row("unknown", name, objective=cost) for name, cost in BOUNDS.items()),
    )
    cheat = runs("cheat", BOUNDS, lacking=100.0)
    board = build(runs("reference", REFERENCE), nothing, unknown, cheat, bound=bounds())
    assert [(one.name, one.compliant) for one in board.rows] == [
        ("nothing", None),
        ("reference", True),
        ("unknown", None),
        ("cheat", False),
    ]
    assert board.rows[0].avoidable is None


def test_without_bounds_nobody_is_judged():
    board = build(runs("reference", REFERENCE), runs("cheat", BOUNDS, lacking=100.0))
    assert [(one.name, one.compliant, one.score) for one in board.rows] == [
        ("cheat", None, None),
        ("reference", None, None),
    ]


# ------------------------------------------------------------------------------------------------ ranks


def test_the_score_decides_where_the_mean_does_not():
    """Mean J prefers who gains much where all is dear; the score looks at the share of what could be gained."""
    dear = {"a/0": 110.0, "a/1": 150.0, "b/0": 50.0, "b/1": 0.0}  # 40 cheaper, of 300 in a
    share = {"a/0": 110.0, "a/1": 190.0, "b/0": 12.5, "b/1": 0.0}  # 37.5 cheaper, of 200 in b
    lower = {**BOUNDS, "a/0": 0.0, "a/1": 0.0}
    board = build(runs("reference", REFERENCE), runs("dear", dear), runs("share", share), bound=bounds(lower))
    found = by_name(board)
    assert found["dear"].cost < found["share"].cost
    assert [one.name for one in board.rows] == ["share", "dear", "reference"]


def test_rank_intervals_follow_the_score():
    generator = np.random.Generator(np.random.Philox(1))
    names = [f"{family}/{i}" for i in range(16) for family in "ab"]
    gap = dict(zip(names, generator.lognormal(3.0, 1.0, size=32), strict=True))
    entries = [
        runs(label, {name: gap[name] * (share + 0.01 * generator.normal()) for name in names})
        for label, share in (("reference", 1.0), ("half", 0.5), ("near", 0.503), ("best", 0.2))
    ]
    board = build(*entries, bound=bounds(dict.fromkeys(names, 0.0)))
    limits = {one.name: (one.rank_lo, one.rank_hi) for one in board.rows}
    assert limits == {"best": (1, 1), "half": (2, 3), "near": (2, 3), "reference": (4, 4)}
    assert [one.tied for one in board.rows] == [False, False, True, False]


def test_a_price_of_shortfalls_moves_ranks_by_the_score():
    cheat = runs("cheat", {name: cost - 5.0 for name, cost in ENTRY.items()} | {"a/0": 105.0}, shortfall_charge=8.0)
    honest = runs("honest", ENTRY, shortfall_charge=0.0)
    board = build(runs("reference", REFERENCE, shortfall_charge=0.0), honest, cheat, bound=bounds())
    ranks = {one.name: (one.rank, one.rank_half_price, one.rank_double_price) for one in board.rows}
    assert ranks == {"cheat": (1, 1, 2), "honest": (2, 2, 1), "reference": (3, 3, 3)}


# ------------------------------------------------------------------------------------------------ ladder, front, others


def mpc(view: str, shift: float, name: str = "") -> EntryCells:
    record = ControllerRecord(kind="mpc", parameters={"view": view})
    return runs(name or view, {key: cost + shift for key, cost in REFERENCE.items()}, record=record)


def test_the_ladder_pairs_each_view_with_the_one_below():
    entries = [runs("reference", REFERENCE), mpc("law", -3.0), mpc("myopic", 2.0), mpc("announced", -1.0)]
    board = build(*entries, mpc("announced", 4.0, "worse"), bound=bounds())
    value = board.to_json()["ladder"]
    assert [(step["view"], step["entry"], step["gain"]) for step in value] == [
        ("myopic", "myopic", None),
        ("announced", "announced", -3.0),
        ("law", "law", -2.0),
    ]
    assert [(step["gain_lo"], step["gain_hi"]) for step in value] == [(None, None), (-3.0, -3.0), (-2.0, -2.0)]
    rows = by_name(board)
    assert all((step["score"], step["cost"]) == (rows[step["entry"]].score, rows[step["entry"]].cost) for step in value)


def test_the_front_holds_what_none_beats_in_cost_carbon_and_circularity():
    entries = [
        runs("reference", REFERENCE, carbon=5.0, circularity=0.5),
        runs("cheap", ENTRY, carbon=6.0, circularity=0.4),
        runs("beaten", REFERENCE, carbon=5.0, circularity=0.4),
        runs("green", {**REFERENCE, "a/0": 500.0}, carbon=1.0, circularity=0.2),
        runs("twin", REFERENCE, carbon=5.0, circularity=0.5),
        runs("broken", BOUNDS, failed=["a/0"], carbon=0.0, circularity=1.0),
        runs("silent", BOUNDS, circularity=1.0),
    ]
    front = {one.name for one in build(*entries).rows if one.pareto}
    assert front == {"reference", "cheap", "green", "twin"}


def test_the_handprint_is_at_equal_service():
    linear = runs("linear", REFERENCE, carbon=100.0, served=50.0).cells
    entry = runs("reference", REFERENCE, carbon=60.0, served=40.0)
    assert build(entry, linear=linear).rows[0].metrics["handprint"] == 100.0 * 40.0 / 50.0 - 60.0
    assert build(entry).rows[0].metrics["handprint"] is None
    worse = runs("reference", REFERENCE, carbon=90.0, served=40.0)
    assert build(worse, linear=linear).rows[0].metrics["handprint"] == -10.0


def test_pairs_give_means_over_the_scenarios_that_were_run_twice():
    found = {"resilience_loss": 2.0, "resilience_depth": 0.4, "time_to_recover": None}
    pairs = (row("p", "a/0", **found), row("p", "b/0", **{**found, "resilience_loss": 4.0}), row("p", "b/1", ok=False))
    entry = replace(runs("reference", REFERENCE), pairs=pairs)
    metrics = build(entry).rows[0].metrics
    assert [metrics[name] for name in found] == [3.0, 0.4, None]


def test_cpu_seconds_are_shown_and_not_compared():
    board = build(runs("reference", REFERENCE))
    timed = replace(board, cpu_s={"reference": 1.5})
    assert timed.to_json() == board.to_json() and "cpu_s" not in board.to_json()["entries"][0]
    assert timed.to_json_with_timings()["entries"][0]["cpu_s"] == 1.5
    assert board.to_json_with_timings()["entries"][0]["cpu_s"] is None
