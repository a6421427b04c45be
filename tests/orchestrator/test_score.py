"""Scores by hand-computed examples; mutants, each a plausible mistake, fail the same checks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from orchestrator import standings
from orchestrator.leaderboard import Leaderboard, build_leaderboard
from orchestrator.records import CellRow
from orchestrator.score import Yardstick, score_interval
from orchestrator.standings import EntryCells
from orchestrator.statistics import Interval, Ratio, ScenarioBootstrap
from sim_core.control import ControllerRecord
from sim_core.errors import IntegrityError

# In family a the reference lies 10 and 90 above the bound, in family b 50 and 150.
BOUNDS = {"a/0": 100.0, "a/1": 100.0, "b/0": 0.0, "b/1": -150.0}
REFERENCE = {"a/0": 110.0, "a/1": 190.0, "b/0": 50.0, "b/1": 0.0}
ENTRY = {"a/0": 110.0, "a/1": 145.0, "b/0": 25.0, "b/1": -5.0}
SCORE = ((1 - (10 + 45) / 100) + (1 - (25 + 145) / 200)) / 2  # 0.45 and 0.15

Build = Callable[..., Leaderboard]


def row(name: str, scenario: str, *, ok: bool = True, **metrics: float | None) -> CellRow:
    return CellRow(
        key=f"{name}/{scenario}",
        controller=name,
        scenario=scenario,
        family=scenario.partition("/")[0],
        status="ok" if ok else "failed",
        message="" if ok else "no",
        metrics=metrics if ok else {},
    )


def runs(
    name: str,
    costs: Mapping[str, float],
    *,
    lacking: float = 0.0,
    due: float = 1000.0,
    failed: Sequence[str] = (),
    record: ControllerRecord | None = None,
    **metrics: float,
) -> EntryCells:
    cells = tuple(
        row(name, scenario, ok=scenario not in failed, objective=cost, lacking=lacking, due=due, **metrics)
        for scenario, cost in costs.items()
    )
    return EntryCells(name=name, controller=record or ControllerRecord(kind=name), cells=cells)


def bounds(lower: Mapping[str, float] = BOUNDS, *, least: float = 0.0, failed: Sequence[str] = ()) -> list[CellRow]:
    return [
        row("bound", scenario, ok=scenario not in failed, objective=value, plan=value, lacking=0.0, least_lacking=least)
        for scenario, value in lower.items()
    ]


def build(*entries: EntryCells, bound: Sequence[CellRow] = (), **more: Any) -> Leaderboard:
    return build_leaderboard(
        entries, reference="reference", seed=3, resamples=400, confidence=0.95, digest="d", bounds=bound, **more
    )


def by_name(board: Leaderboard) -> dict[str, Any]:
    return {one.name: one for one in board.rows}


# ------------------------------------------------------------------------------------------------ the score


def check_the_score_by_hand() -> None:
    found = by_name(build(runs("reference", REFERENCE), runs("entry", ENTRY), bound=bounds()))
    assert found["entry"].score == pytest.approx(SCORE)
    assert found["reference"].score == pytest.approx(0.0, abs=1e-12)
    assert found["entry"].score_lo < SCORE < found["entry"].score_hi
    assert (found["reference"].score_lo, found["reference"].score_hi) == (0.0, 0.0)
    worse = by_name(build(runs("reference", REFERENCE), runs("entry", {**ENTRY, "b/1": 310.0}), bound=bounds()))
    assert worse["entry"].score == pytest.approx((0.45 + 1 - 2.425) / 2), "a score below 0 stays what it is"


def test_the_score_of_a_hand_computed_example():
    check_the_score_by_hand()


def mean_of_ratios(self: Ratio) -> float:
    return float(np.mean(self.above / self.below))


def test_a_mean_of_ratios_fails_that_check(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Ratio, "value", property(mean_of_ratios))
    with pytest.raises(AssertionError):
        check_the_score_by_hand()


def test_a_clipped_score_fails_that_check(monkeypatch: pytest.MonkeyPatch):
    whole = standings.score_interval

    def clipped(*arguments: Any) -> Interval | None:
        found = whole(*arguments)
        return found and replace(found, estimate=min(1.0, max(0.0, found.estimate)))

    monkeypatch.setattr(standings, "score_interval", clipped)
    with pytest.raises(AssertionError, match="stays what it is"):
        check_the_score_by_hand()


def test_scenarios_pooled_over_families_fail_that_check(monkeypatch: pytest.MonkeyPatch):
    whole = Yardstick.ratios

    def pooled(self: Yardstick, *arguments: Any) -> list[Ratio] | None:
        found = whole(self, *arguments)
        if not found:
            return found
        above, below = (np.concatenate([getattr(part, name) for part in found]) for name in ("above", "below"))
        return [Ratio(above=above, below=below)]

    monkeypatch.setattr(Yardstick, "ratios", pooled)
    with pytest.raises(AssertionError):
        check_the_score_by_hand()


def test_the_bound_itself_scores_1_and_the_order_of_rows_moves_nothing():
    entries = [runs("reference", REFERENCE), runs("best", BOUNDS), runs("entry", ENTRY)]
    board = build(*entries, bound=bounds())
    assert by_name(board)["best"].score == 1.0
    assert [one.name for one in board.rows] == ["best", "entry", "reference"]
    assert build(*reversed(entries), bound=bounds()[::-1]).to_json() == board.to_json()


def test_a_scenario_without_headroom_is_left_out_and_counted():
    """In a/0 the reference is 0.9 % of its cost above the bound: what an Entry does there is no part of the score."""
    lower = {**BOUNDS, "a/0": 109.01}
    board = build(runs("reference", REFERENCE), runs("entry", {**ENTRY, "a/0": 1e9}), bound=bounds(lower))
    value = board.to_json()
    assert (value["bounded"], value["scored"], value["no_headroom"]) == (4, 3, ["a/0"])
    assert by_name(board)["entry"].score == pytest.approx((0.5 + 0.15) / 2)
    assert value["bound_cost"] == pytest.approx((100.0 + 0.0 - 150.0) / 3)
    assert value["reference_cost"] == pytest.approx((190.0 + 50.0 + 0.0) / 3)


def test_a_family_with_nothing_left_leaves_no_score():
    lower = {**BOUNDS, "a/0": 110.0, "a/1": 190.0}
    entry = {**ENTRY, "a/1": 190.0}
    board = build(runs("reference", REFERENCE), runs("entry", entry), bound=bounds(lower))
    assert [one.score for one in board.rows] == [None, None]
    assert [one.name for one in board.rows] == ["entry", "reference"], "without scores mean J decides"


def test_scenarios_without_a_bound_are_no_part_of_the_score():
    few = {name: BOUNDS[name] for name in ("a/0", "b/0")}
    board = build(runs("reference", REFERENCE), runs("entry", ENTRY), bound=bounds(few))
    entry = by_name(board)["entry"]
    assert entry.score == pytest.approx((0.0 + 0.5) / 2)
    assert (entry.score_lo, entry.score_hi) == (None, None), "a single scenario of a family can't show its spread"
    assert entry.n == 4


def test_a_failed_bound_is_an_unbounded_scenario_and_a_failed_entry_has_no_score():
    broken = runs("broken", ENTRY, failed=["b/0"])
    board = build(runs("reference", REFERENCE), runs("entry", ENTRY), broken, bound=bounds(failed=["a/1"]))
    assert (board.to_json()["unbounded"], board.to_json()["bounded"]) == (["a/1"], 3)
    found = by_name(board)
    assert found["entry"].score == pytest.approx((0.0 + 0.15) / 2)
    assert found["broken"].score is None and found["broken"].rank == 3 and found["broken"].compliant is None
    lost = build(runs("reference", REFERENCE), runs("entry", ENTRY), bound=bounds(failed=["a/0", "a/1"]))
    assert by_name(lost)["entry"].score is None


def test_a_failed_reference_takes_its_scenario_out_of_the_scores():
    board = build(runs("reference", REFERENCE, failed=["a/0"]), runs("entry", ENTRY), bound=bounds())
    assert by_name(board)["entry"].score == pytest.approx((0.5 + 0.15) / 2)
    assert by_name(board)["reference"].score is None
    assert (board.to_json()["scored"], board.to_json()["no_headroom"]) == (3, [])


# ------------------------------------------------------------------------------------------------ the bound's promise


def test_rounding_below_the_bound_is_allowed():
    build(runs("reference", REFERENCE), runs("entry", {**ENTRY, "b/1": -150.0 * (1.0 + 1e-9)}), bound=bounds())


def test_a_run_that_costs_less_than_its_bound_stops_everything():
    below = {**ENTRY, "b/1": -150.1}
    with pytest.raises(IntegrityError, match=r"entry on b/1 costs -150\.1 EUR, less than the bound -150\.0: bound or"):
        build(runs("reference", REFERENCE), runs("entry", below), bound=bounds())
    with pytest.raises(IntegrityError, match="reference on b/1"):
        build(runs("reference", {**REFERENCE, "b/1": -151.0}), bound=bounds())
    with pytest.raises(IntegrityError, match="without recovery on a/0"):
        build(runs("reference", REFERENCE), bound=bounds(), linear=runs("linear", {"a/0": 99.0}).cells)
    build(runs("reference", REFERENCE), runs("entry", below, failed=["b/1"]), bound=bounds())


# ------------------------------------------------------------------------------------------------ intervals

Scored = Callable[[Sequence[Ratio], ScenarioBootstrap], Interval | None]


def ratios(seed: int = 1, n: int = 40) -> list[Ratio]:
    """Two families whose scenarios differ a hundredfold in size, and in which an Entry closes nearly half the gap."""
    generator = np.random.Generator(np.random.Philox(seed))
    parts: list[Ratio] = []
    for _ in range(2):
        gap = generator.lognormal(mean=5.0, sigma=1.0, size=n)
        parts.append(Ratio(above=gap * (0.55 + 0.02 * generator.normal(size=n)), below=gap))
    return parts


def check_pairing(scored: Scored) -> None:
    found = scored(ratios(), ScenarioBootstrap(seed=5, resamples=1000, confidence=0.95))
    assert found is not None and found.low is not None and found.high is not None
    assert found.low < found.estimate < found.high
    assert found.high - found.low < 0.03


def unpaired(parts: Sequence[Ratio], bootstrap: ScenarioBootstrap) -> Interval:
    """Mutant: J and R are resampled apart."""
    one, other = (ScenarioBootstrap(seed=seed, resamples=1000, confidence=0.95) for seed in (1, 2))
    lost = np.mean([one.means(part.above) / other.means(part.below) for part in parts], axis=0)
    low, high = np.quantile(1.0 - lost, [0.025, 0.975])
    return Interval(estimate=float(1.0 - lost.mean()), low=float(low), high=float(high), n=80)


def test_costs_and_anchors_are_resampled_together():
    check_pairing(score_interval)
    with pytest.raises(AssertionError):
        check_pairing(unpaired)


def test_families_are_resampled_apart():
    """Were two families of one size drawn alike, their errors would add up instead of cancelling out."""
    bootstrap = ScenarioBootstrap(seed=5, resamples=2000, confidence=0.95)
    part = ratios()[0]
    mirrored = Ratio(above=part.below - part.above, below=part.below)
    assert np.std(bootstrap.mean_ratios([part, mirrored])) > 0.3 * np.std(bootstrap.mean_ratios([part]))


def test_limits_hold_the_true_score_as_often_as_they_say():
    bootstrap = ScenarioBootstrap(seed=9, resamples=300, confidence=0.9)
    held = 0
    for seed in range(200):
        found = score_interval(ratios(seed, n=24), bootstrap)
        assert found is not None and found.low is not None and found.high is not None
        held += found.low <= 0.45 <= found.high
    assert 0.82 <= held / 200 <= 0.96
