"""Tiers: severity, notice, what is felt within the horizon and pressure by hand; mutants."""

import math
from dataclasses import replace

import pytest

from sim_core.generate import tiers
from sim_core.generate.events import Event
from sim_core.generate.recipe import Recipe, draw_recipes, instruments
from sim_core.generate.tiers import MODERATE, SEVERE, TIERS, felt, horizon, notices, pressure, severity, tier, tier_of
from sim_core.units import day
from tests.sim_core.test_paths import SUITE

STEPS = ("2031-08-18", "2036-08-18")  # of EUBAT-RC-CO as adopted
YEAR = 365.2425


def event(
    kind: str, amount: float = 0.0, *, announced: str = "2030-01-01", adopted: str = "2030-03-01", **more
) -> Event:
    given = {"targets": ("EUBAT-RC-CO",), **more}
    return Event(kind=kind, amount=amount, announced=announced, adopted=adopted, **given)


def recipe(*events: Event) -> Recipe:
    return Recipe(family="eu_baseline", index=0, seed=SUITE.seed, events=events)


def noticed(one: Recipe) -> tuple[int | None, ...]:
    return notices(one, instruments(SUITE, one), horizon(SUITE))


def told(one: Recipe) -> str:
    return tier(one, instruments(SUITE, one), horizon(SUITE))


def pressed(one: Recipe) -> float:
    return pressure(one, noticed(one))


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (event("tighten", 1.5), math.log(1.5)),
        (event("weaken", 0.5), math.log(2.0)),
        (event("amend", 2.0), math.log(2.0)),
        (event("amend", 0.0), 1.0),
        (event("delay", 36.0), 1.5),
        (event("extend", 12.0), 0.5),
        (event("repeal"), 1.0),
        (event("freeze", 1.0), 1.0),
        (event("enact", 0.7), 1.0),
    ],
)
def test_severity(one: Event, expected: float):
    assert severity(one) == pytest.approx(expected, abs=1e-12)


def test_notice_lasts_to_the_first_day_with_another_value():
    to_first = day(STEPS[0]) - day("2030-01-01")
    assert noticed(recipe(event("delay", 24))) == (to_first,)
    assert noticed(recipe(event("weaken", 0.5))) == (to_first,)
    assert noticed(recipe(event("repeal", announced="2032-01-01", adopted="2032-07-01"))) == (182,)
    frozen = event("freeze", announced="2032-01-01", adopted="2032-07-01")
    assert noticed(recipe(frozen)) == (day(STEPS[1]) - day("2032-01-01"),)
    tariff = event("enact", 1.0, targets=("CF-TARIFF",), ends="2033-01-01")
    assert noticed(recipe(tariff)) == (day("2030-03-01") - day("2030-01-01"),)


def test_a_later_revision_is_measured_against_the_one_before():
    delay = event("delay", 24)
    weaken = event("weaken", 0.5, announced="2032-01-01", adopted="2032-02-01")
    assert noticed(recipe(delay, weaken))[1] == day("2033-08-18") - day("2032-01-01")


def test_an_event_of_several_targets_counts_once_with_the_shortest_notice():
    both = event("repeal", targets=("EUBAT-RC-CO", "EUBAT-EFF-LI"))
    assert noticed(recipe(both)) == (59,)  # the efficiency is in force already
    assert pressed(recipe(both)) == pytest.approx(1.0 / (1.0 + 59 / YEAR))


def test_what_changes_no_value_presses_nobody():
    late = event("weaken", 0.5, announced="2037-01-01", adopted="2037-02-01")  # after the last step
    assert noticed(recipe(late)) == (None,) and pressed(recipe(late)) == 0.0
    assert pressed(recipe()) == 0.0


def test_what_changes_before_or_after_the_horizon_is_not_felt():
    early = event("repeal", announced="2025-03-01", adopted="2025-12-31", targets=("EUBAT-EFF-LI",))
    first = event("repeal", announced="2025-03-01", adopted="2026-01-01", targets=("EUBAT-EFF-LI",))
    last = event("repeal", announced="2044-01-01", adopted="2045-12-31")
    late = event("repeal", announced="2044-01-01", adopted="2046-01-01")
    assert horizon(SUITE) == (day("2026-01-01"), day("2046-01-01"))
    for one, is_felt in ((early, False), (first, True), (last, True), (late, False)):
        drawn = recipe(one)
        assert (noticed(drawn)[0] is not None) == is_felt
        assert felt(drawn, noticed(drawn)) == (drawn if is_felt else recipe())


def check_pressure() -> None:
    notice = (day(STEPS[0]) - day("2030-01-01")) / YEAR
    found = pressed(recipe(event("delay", 24), event("enact", 1.0, targets=("CF-TARIFF",), announced="2030-02-28")))
    assert found == pytest.approx(1.0 / (1.0 + notice) + 1.0 / (1.0 + 1 / YEAR))


def test_pressure_is_the_sum_of_severity_by_surprise():
    check_pressure()


@pytest.mark.parametrize(
    "severe", [lambda one: one.amount, lambda one: severity(one) / 2.0], ids=["amount as it stands", "half"]
)
def test_mutant_severity_is_caught(monkeypatch: pytest.MonkeyPatch, severe):
    monkeypatch.setattr(tiers, "severity", severe)
    with pytest.raises(AssertionError):
        check_pressure()


def test_mutant_notice_to_the_adoption_is_caught(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tiers, "_first_change", lambda before, after: after.adopted)
    with pytest.raises(AssertionError):
        check_pressure()


def test_thresholds_and_order():
    assert [tier_of(value) for value in (0.0, MODERATE - 1e-9, MODERATE, SEVERE - 1e-9, SEVERE, 9.0)] == [
        "calm", "calm", "moderate", "moderate", "severe", "severe",
    ]  # fmt: skip
    later = [
        tier_of(pressed(recipe(event("repeal", announced=f"{year}-01-01", adopted="2032-01-01"))))
        for year in (2028, 2030, 2032)
    ]
    assert later == sorted(later, key=TIERS.index)


def test_paths_and_replications_change_no_tier():
    for one in draw_recipes(SUITE, "eu_revised", range(40)):
        assert told(one) == told(replace(one, replication=3)) and told(one) in TIERS


def test_drawn_scenarios_are_of_every_tier():
    drawn = [told(one) for one in draw_recipes(SUITE, "eu_revised", range(200))]
    assert min(drawn.count(name) for name in TIERS) >= 20
    assert {told(one) for one in draw_recipes(SUITE, "none", range(5))} == {"calm"}
